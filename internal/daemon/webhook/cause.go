package webhook

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"syscall"
)

// cause says why there was no answer, by kinds: the text of an error may have the URL in
// it, which may be secret, or what the endpoint has said.
func cause(err error) string {
	if timeout := net.Error(nil); errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout() {
		return "no answer in time"
	}
	return "no answer: " + kind(err)
}

func kind(err error) string {
	var (
		issuer  x509.UnknownAuthorityError
		name    x509.HostnameError
		invalid x509.CertificateInvalidError
		refused *tls.CertificateVerificationError
		alert   tls.AlertError
		record  tls.RecordHeaderError
		lookUp  *net.DNSError
		system  syscall.Errno
	)
	switch {
	case errors.Is(err, ErrAddress):
		return ErrAddress.Error()
	case errors.As(err, &issuer):
		return "its certificate is of an unknown issuer"
	case errors.As(err, &name):
		return "its certificate is for another name"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "its certificate has expired, or is not valid yet"
	case errors.As(err, &refused):
		return "its certificate is not valid"
	case errors.As(err, &alert):
		return alert.Error()
	case errors.As(err, &record):
		return "it does not speak TLS"
	case errors.As(err, &lookUp):
		return "its name cannot be resolved"
	case errors.As(err, &system):
		return system.Error()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was closed"
	case errors.Is(err, context.Canceled):
		return "the attempt was given up"
	}
	return "what came is not HTTP, or too long"
}
