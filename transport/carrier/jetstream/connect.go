package jetstream

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/rookery-im/rookery/transport/carrier"
)

const (
	// pings is how often a silent connection is tried; two that fail end it.
	pings = 10 * time.Second
	// stuck is how long a write may take before the connection is given up.
	stuck = 10 * time.Second
)

// connect makes the connection. A server that cannot be reached now is tried again in
// the background; one that refuses gives ErrLogin.
func (c *Carrier) connect() error {
	options, err := c.dialing()
	if err != nil {
		return err
	}
	options = append(options, nats.RetryOnFailedConnect(true))
	if c.nc, err = nats.Connect(strings.Join(c.options.Servers, ","), options...); err != nil {
		return fmt.Errorf("%w: %w", carrier.ErrOptions, err)
	}
	if c.nc.IsConnected() {
		return nil
	}
	select {
	case err = <-c.refused:
	case <-time.After(c.options.Timeout):
	}
	if err != nil && !passes(err) {
		return fmt.Errorf("%w: %w", ErrLogin, err)
	}
	return nil
}

// passes tells whether what failed at connecting may pass: there is no server, but
// none that says no.
func passes(err error) bool {
	var certificate *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var wrongName x509.HostnameError
	if errors.As(err, &certificate) || errors.As(err, &authority) || errors.As(err, &wrongName) || strings.Contains(err.Error(), "remote error: tls:") {
		return false
	}
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, nats.ErrNoServers) || errors.Is(err, nats.ErrTimeout) ||
		errors.Is(err, nats.ErrConnectionClosed) || errors.Is(err, net.ErrClosed) || strings.Contains(err.Error(), "EOF")
}

func (c *Carrier) dialing() ([]nats.Option, error) {
	o := &c.options
	options := []nats.Option{
		nats.Name(o.Name),
		nats.CustomInboxPrefix(o.Inbox),
		nats.Timeout(o.Timeout),
		nats.MaxReconnects(-1),
		nats.CustomReconnectDelay(func(attempts int) time.Duration { return o.delay(attempts) }),
		nats.ReconnectBufSize(-1), // what cannot be sent now is for who publishes
		nats.ReconnectOnFlusherError(),
		nats.IgnoreAuthErrorAbort(),
		nats.IgnoreDiscoveredServers(),
		nats.PingInterval(pings),
		nats.MaxPingsOutstanding(2),
		nats.FlusherTimeout(stuck),
		nats.ConnectHandler(func(*nats.Conn) { c.connected() }),
		nats.ReconnectHandler(func(*nats.Conn) { c.connected() }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { c.disconnected(err) }),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { c.stillDown(err) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { c.failed(err) }),
	}
	if o.InProcess != nil {
		options = append(options, nats.InProcessServer(o.InProcess))
	}
	login := o.Login
	switch {
	case login.User != "":
		options = append(options, nats.UserInfo(login.User, login.Password))
	case login.Token != "":
		options = append(options, nats.Token(login.Token))
	case login.CredentialsFile != "":
		options = append(options, nats.UserCredentials(login.CredentialsFile))
	case login.NKeyFile != "":
		key, err := nats.NkeyOptionFromSeed(login.NKeyFile)
		if err != nil {
			return nil, fmt.Errorf("%w: key file %s: %w", carrier.ErrOptions, login.NKeyFile, err)
		}
		options = append(options, key)
	}
	// Files are read at each connection, so that they can be renewed.
	if o.TLS.CA != "" {
		options = append(options, nats.RootCAs(o.TLS.CA))
	}
	if o.TLS.Certificate != "" {
		options = append(options, nats.ClientCert(o.TLS.Certificate, o.TLS.Key))
	}
	var probe nats.Options
	for _, option := range options {
		if err := option(&probe); err != nil {
			return nil, fmt.Errorf("%w: %w", carrier.ErrOptions, err)
		}
	}
	return options, nil
}

// delay is how long to wait after so many attempts.
func (o *Options) delay(attempts int) time.Duration {
	d := o.Retry
	for i := 1; i < attempts && d < o.RetryMax; i++ {
		d *= 2
	}
	d = min(d, o.RetryMax)
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails

	return d/2 + time.Duration(binary.LittleEndian.Uint64(random[:])%uint64(d/2+1)) //nolint:gosec // fits
}

// connected, disconnected, stillDown and failed are called by the library, one after
// the other.

func (c *Carrier) connected() {
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	if c.link.epoch == nil && c.ctx.Err() == nil {
		c.link.epoch, c.link.end = context.WithCancelCause(c.ctx)
		c.link.tell()
		c.health.note(nil) // an account may do more by now
	}
}

func (c *Carrier) disconnected(err error) {
	if err == nil {
		err = errors.New("disconnected")
	}
	err = fmt.Errorf("%w: %w", carrier.ErrUnreachable, err)
	c.link.mu.Lock()
	if c.link.epoch != nil {
		c.link.end(err)
		c.link.epoch = nil
		c.link.tell()
	}
	if c.ctx.Err() == nil {
		c.health.set(false, err)
	}
	c.link.mu.Unlock()
	c.publisher.settleAll(err)
}

func (c *Carrier) stillDown(err error) {
	select {
	case c.refused <- err:
	default:
	}
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	if c.link.epoch == nil && c.ctx.Err() == nil {
		c.health.set(false, fmt.Errorf("%w: %w", carrier.ErrUnreachable, err))
	}
}

func (c *Carrier) failed(err error) {
	if errors.Is(err, nats.ErrPermissionViolation) {
		c.deny(err.Error())
	}
}
