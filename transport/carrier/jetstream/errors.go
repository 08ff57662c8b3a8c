package jetstream

import (
	"context"
	"errors"
	"fmt"

	js "github.com/nats-io/nats.go/jetstream"

	"github.com/rookery-im/rookery/transport/carrier"
)

var (
	// ErrDenied: the account may not do this. The text names the subject.
	ErrDenied = errors.New("jetstream: permission denied")
	// ErrStream: the stream is missing and may not be created, or it is not one that
	// can serve. The text names what is wrong.
	ErrStream = errors.New("jetstream: stream cannot be used")
	// ErrNoStream: it is missing and may not be created. It is ErrStream, too.
	ErrNoStream = fmt.Errorf("%w: there is none", ErrStream)
	// ErrLogin: the server does not take the credentials, or one side does not trust
	// the other's certificate.
	ErrLogin = errors.New("jetstream: login refused")
)

// Why a window of a consumer ends.
var (
	errEnd     = errors.New("jetstream: no more messages")
	errChanged = errors.New("jetstream: topics have changed")
	errGone    = fmt.Errorf("%w: consumer is gone", carrier.ErrUnreachable)
)

// codes of the JetStream API, see nats-server's errors.json.
const (
	codeAccountResources = 10002
	codeResources        = 10023
	codeMemoryResources  = 10028
	codeStorageResources = 10047
	codeStoreFailed      = 10077
	codeMessageTooLarge  = 10054
	codeHeaderTooLarge   = 10097
	codeTooMany          = 429
	codeServer           = 500
)

// refusal makes an error of the port out of one that the server has answered.
func refusal(e *js.APIError) error {
	var kind error
	switch {
	case e.Code == codeTooMany, e.ErrorCode == codeAccountResources, e.ErrorCode == codeResources,
		e.ErrorCode == codeMemoryResources, e.ErrorCode == codeStorageResources, e.ErrorCode == codeStoreFailed:
		kind = carrier.ErrBusy
	case e.ErrorCode == codeMessageTooLarge, e.ErrorCode == codeHeaderTooLarge:
		kind = carrier.ErrMessage
	default: // such as another stream in place of ours: not the message's fault
		kind = carrier.ErrUnreachable
	}
	return fmt.Errorf("%w: %s (%d)", kind, e.Description, e.ErrorCode)
}

// asked makes an error of the port out of one of the library, for a request.
func asked(what string, err error) error {
	var api *js.APIError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrDenied), errors.Is(err, carrier.ErrClosed), errors.Is(err, carrier.ErrUnreachable),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.As(err, &api) && api.Code < codeServer && api.ErrorCode != js.JSErrCodeStreamNotFound && api.ErrorCode != js.JSErrCodeConsumerNotFound:
		return fmt.Errorf("%w: %s: %s (%d)", ErrStream, what, api.Description, api.ErrorCode)
	default:
		return fmt.Errorf("%w: %s: %w", carrier.ErrUnreachable, what, err)
	}
}
