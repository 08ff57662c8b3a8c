package jetstream_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"github.com/rookery-im/rookery/transport/carrier/jetstream"
)

// works publishes a message and receives it.
func works(t testing.TB, c *jetstream.Carrier) {
	t.Helper()
	in := newInbox()
	subscribe(t, c, in, topic)
	m := messages(topic, 1)
	publishAll(t, c, m)
	in.gets(t, m)
}

// refused tries to open, which must not succeed, nor tell a secret.
func refused(t testing.TB, o jetstream.Options) {
	t.Helper()
	c, err := jetstream.Open(t.Context(), o)
	if err == nil {
		closed(t, c)
	}
	if !errors.Is(err, jetstream.ErrLogin) || strings.Contains(err.Error(), "secret") {
		t.Errorf("got error %v, want %v", err, jetstream.ErrLogin)
	}
}

// file writes a file for the test.
func file(t testing.TB, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// seedFile is a new key pair of a user, and a file with its seed.
func seedFile(t testing.TB) (public, path string) {
	t.Helper()
	pair := must(nkeys.CreateUser())
	return must(pair.PublicKey()), file(t, "user.nk", must(pair.Seed()))
}

func TestUserAndPassword(t *testing.T) {
	n := newNetwork(t, func(o *server.Options) { o.Username, o.Password = "me", "secret" })
	o := n.options()
	refused(t, o)
	o.Login = jetstream.Login{User: "me", Password: "secret?"}
	refused(t, o)
	o.Login = jetstream.Login{User: "me", Password: "secret"}
	works(t, n.open(o))
}

func TestToken(t *testing.T) {
	n := newNetwork(t, func(o *server.Options) { o.Authorization = "secret" })
	o := n.options()
	o.Login.Token = "secret?"
	refused(t, o)
	o.Login.Token = "secret"
	works(t, n.open(o))
}

// TestTLSWithNKey: the server's certificate is checked, and so is the client's.
func TestTLSWithNKey(t *testing.T) {
	authority := newAuthority(t)
	certificate, key := authority.issue(t, "server", x509.ExtKeyUsageServerAuth)
	public, seed := seedFile(t)
	_, otherSeed := seedFile(t)
	n := newNetwork(t, func(o *server.Options) {
		o.Nkeys = []*server.NkeyUser{{Nkey: public}}
		o.TLSConfig = &tls.Config{
			Certificates: []tls.Certificate{must(tls.LoadX509KeyPair(certificate, key))},
			ClientCAs:    authority.pool(),
			ClientAuth:   tls.RequireAndVerifyClientCert,
			MinVersion:   tls.VersionTLS13,
		}
		o.TLSTimeout = 5
	})
	certificate, key = authority.issue(t, "client", x509.ExtKeyUsageClientAuth)
	o := n.options()
	o.Servers = []string{"tls://" + n.address()}
	o.Login.NKeyFile = seed
	o.TLS = jetstream.TLS{CA: authority.file, Certificate: certificate, Key: key}
	works(t, n.open(o))

	wrong := o
	wrong.Login.NKeyFile = otherSeed
	refused(t, wrong)
	wrong = o
	wrong.TLS.CA = newAuthority(t).file
	refused(t, wrong)
	// Here the server hangs up after the handshake, which may be all there is to see.
	wrong = o
	wrong.TLS.Certificate, wrong.TLS.Key = "", ""
	c, err := jetstream.Open(t.Context(), wrong)
	if err == nil {
		eventually(t, "it notices that it is without a certificate", func() bool {
			health := c.Health()
			return !health.Ready && health.Peers == 0 && health.Err != nil
		})
		closed(t, c)
	} else if !errors.Is(err, jetstream.ErrLogin) {
		t.Errorf("without a certificate: %v", err)
	}
	wrong = o
	wrong.TLS = jetstream.TLS{}
	refused(t, wrong)

	plain := newNetwork(t, nil).options()
	plain.TLS = o.TLS
	refused(t, plain) // the server has no TLS, the password would go in the clear
}

// TestCredentialsFile: a JWT of a user of an account of an operator.
func TestCredentialsFile(t *testing.T) {
	operator, account, user := must(nkeys.CreateOperator()), must(nkeys.CreateAccount()), must(nkeys.CreateUser())
	public := func(pair nkeys.KeyPair) string { return must(pair.PublicKey()) }
	claims := jwt.NewAccountClaims(public(account))
	claims.Limits.JetStreamLimits = jwt.JetStreamLimits{DiskStorage: jwt.NoLimit, MemoryStorage: jwt.NoLimit, Streams: jwt.NoLimit, Consumer: jwt.NoLimit}
	accountJWT := must(claims.Encode(operator))
	userClaims := jwt.NewUserClaims(public(user))
	credentials := must(jwt.FormatUserConfig(must(userClaims.Encode(account)), must(user.Seed())))
	operatorClaims := must(jwt.DecodeOperatorClaims(must(jwt.NewOperatorClaims(public(operator)).Encode(operator))))
	system := must(nkeys.CreateAccount())
	n := newNetwork(t, func(o *server.Options) {
		resolver := &server.MemAccResolver{}
		if err := resolver.Store(public(account), accountJWT); err != nil {
			t.Fatal(err)
		}
		if err := resolver.Store(public(system), must(jwt.NewAccountClaims(public(system)).Encode(operator))); err != nil {
			t.Fatal(err)
		}
		o.TrustedOperators, o.AccountResolver = []*jwt.OperatorClaims{operatorClaims}, resolver
		o.SystemAccount = public(system)
	})
	o := n.options()
	refused(t, o)
	o.Login.CredentialsFile = file(t, "user.creds", credentials)
	works(t, n.open(o))
}

// authority signs certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	file        string
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der := must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))
	return &authority{must(x509.ParseCertificate(der)), key, pemFile(t, "CERTIFICATE", der)}
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

func (a *authority) issue(t testing.TB, name string, usage x509.ExtKeyUsage) (certificate, key string) {
	t.Helper()
	pair := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{usage}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der := must(x509.CreateCertificate(rand.Reader, template, a.certificate, pair.Public(), a.key))
	return pemFile(t, "CERTIFICATE", der), pemFile(t, "EC PRIVATE KEY", must(x509.MarshalECPrivateKey(pair)))
}

func pemFile(t testing.TB, kind string, der []byte) string {
	t.Helper()
	return file(t, "file.pem", pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}
