package daemon

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"filippo.io/age"

	apiv1 "github.com/rookery-im/rookery/proto/api/v1"
)

// Every protocol of Connect gets the same answers, errors and streams.
func TestEachProtocolSendsAndStreams(t *testing.T) {
	h := newHouse(t)
	alice, bob := h.resident("alice"), h.resident("bob")
	alice.knows(bob)
	for name, options := range map[string][]connect.ClientOption{
		"connect": nil, "connect in JSON": {connect.WithProtoJSON()}, "gRPC": {connect.WithGRPC()}, "gRPC-Web": {connect.WithGRPCWeb()},
	} {
		t.Run(name, func(t *testing.T) {
			protocols := new(http.Protocols)
			protocols.SetUnencryptedHTTP2(true) // gRPC needs it, the others take it
			transport := &http.Transport{Protocols: protocols}
			defer transport.CloseIdleConnections()
			client := &http.Client{Transport: transport}
			messages := apiv1.NewMessageServiceClient(client, h.address, options...)
			events := apiv1.NewEventServiceClient(client, h.address, options...)
			request := &apiv1.SendRequest{Identity: alice.key, To: bob.key, Payload: []byte(name)}
			if _, err := messages.Send(t.Context(), request); connect.CodeOf(err) != connect.CodeUnauthenticated {
				t.Errorf("without a token: %v", err)
			}
			ctx, info := connect.NewClientContext(t.Context())
			info.RequestHeader().Set("Authorization", "Bearer "+alice.token)
			sent, err := messages.Send(ctx, request)
			if err != nil {
				t.Fatal(err)
			}
			request.Identity = bob.key
			if _, err := messages.Send(ctx, request); connect.CodeOf(err) != connect.CodePermissionDenied {
				t.Errorf("of another: %v", err)
			}
			ctx, info = connect.NewClientContext(t.Context())
			info.RequestHeader().Set("Authorization", "Bearer "+bob.token)
			stream, err := events.StreamEvents(ctx, &apiv1.StreamEventsRequest{Identity: bob.key})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = stream.Close() }()
			for stream.Receive() {
				e := stream.Msg().GetEvent()
				if e.GetMessageId() != sent.GetReceipt().GetMessageId() {
					continue
				}
				if string(e.GetPayload()) != name {
					t.Errorf("got %q", e.GetPayload())
				}
				if done, err := events.AckEvents(ctx, &apiv1.AckEventsRequest{Identity: bob.key, Ids: []string{e.GetId()}}); err != nil || done.GetAcknowledged() != 1 {
					t.Errorf("acknowledged %v, %v", done, err)
				}
				return
			}
			t.Error(stream.Err())
		})
	}
}

// A backup comes as a whole, and can be read by whom it is for.
func TestBackupIsStreamed(t *testing.T) {
	h := newHouse(t)
	h.resident("alice")
	identity := must(age.GenerateX25519Identity())(t)
	client := apiv1.NewDaemonServiceClient(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, h.address)
	ctx, info := connect.NewClientContext(t.Context())
	info.RequestHeader().Set("Authorization", "Bearer "+h.admin)
	stream := must(client.Backup(ctx, &apiv1.BackupRequest{Recipients: []string{identity.Recipient().String()}}))(t)
	var file bytes.Buffer
	for stream.Receive() {
		file.Write(stream.Msg().GetData())
	}
	if err := errors.Join(stream.Err(), stream.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := age.Decrypt(bytes.NewReader(file.Bytes()), identity); err != nil {
		t.Errorf("%d bytes: %v", file.Len(), err)
	}
	stream = must(client.Backup(ctx, &apiv1.BackupRequest{Recipients: []string{"age1x"}}))(t)
	if stream.Receive() || connect.CodeOf(stream.Err()) != connect.CodeInvalidArgument {
		t.Errorf("for nobody: %v", stream.Err())
	}
	_ = stream.Close()
}

func TestAddressOfOthersNeedsConsentAndTLS(t *testing.T) {
	for _, c := range []struct {
		address                     string
		public, encrypted, insecure bool
		want                        error
	}{
		{"127.0.0.1:1", false, false, false, nil},
		{"[::1]:1", false, false, false, nil},
		{"localhost:1", false, false, false, nil},
		{"0.0.0.0:1", false, true, true, ErrPublic},
		{":1", false, true, false, ErrPublic},
		{"192.0.2.1:1", false, false, false, ErrPublic},
		{"example.org:1", false, false, false, ErrPublic},
		{"0.0.0.0:1", true, false, false, ErrTLS},
		{"0.0.0.0:1", true, true, false, nil},
		{"0.0.0.0:1", true, false, true, nil},
	} {
		if err := CheckAddress(c.address, c.public, c.encrypted, c.insecure); !errors.Is(err, c.want) {
			t.Errorf("%+v: got %v", c, err)
		}
	}
	if err := CheckAddress("nowhere", true, true, true); err == nil {
		t.Error("an address without a port was taken")
	}
}

// With a certificate the daemon speaks TLS, from 1.2 on, and HTTP/2 over it.
func TestCertificateIsServed(t *testing.T) {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "rookery"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der := must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))(t)
	roots := x509.NewCertPool()
	roots.AddCert(must(x509.ParseCertificate(der))(t))
	h := newHouse(t, func(h *house) { h.certificate = &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key} })
	old := &tls.Dialer{Config: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}}
	if connection, err := old.DialContext(t.Context(), "tcp", strings.TrimPrefix(h.address, "https://")); err == nil {
		_ = connection.Close()
		t.Error("TLS 1.1 is spoken")
	}
	for _, version := range []int{1, 2} {
		protocols := new(http.Protocols)
		protocols.SetHTTP1(version == 1)
		protocols.SetHTTP2(version == 2)
		client := &http.Client{Transport: &http.Transport{Protocols: protocols, DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
		r := must(http.NewRequestWithContext(t.Context(), http.MethodGet, h.address+"/openapi.yaml", nil))(t)
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		content := must(io.ReadAll(response.Body))(t)
		_ = response.Body.Close()
		if response.ProtoMajor != version || !bytes.Equal(content, apiv1.OpenAPI) {
			t.Errorf("HTTP/%d, %d bytes", response.ProtoMajor, len(content))
		}
	}
}
