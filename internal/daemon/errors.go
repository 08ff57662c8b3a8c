package daemon

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"connectrpc.com/connect"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/cause"
	"github.com/rookery-im/rookery/internal/daemon/token"
	"github.com/rookery-im/rookery/internal/daemon/webhook"
)

// Errors of the daemon's own.
var (
	errNoToken    = errors.New("no token: Authorization: Bearer TOKEN")
	errNotFor     = errors.New("the token is not for that")
	errNotHosted  = errors.New("no such identity is hosted")
	errWhich      = errors.New("several installations of the identity are hosted: KEY/INSTALLATION names one")
	errRate       = errors.New("too many requests for this token")
	errBusy       = errors.New("too many requests at once")
	errStreams    = errors.New("too many streams at once")
	errTooMany    = errors.New("too many in one request")
	errNoContact  = errors.New("nothing is known of the contact")
	errMessageID  = errors.New("a message id is 32 bytes in hexadecimal")
	errRecipients = errors.New("recipients are age public keys")
	errPage       = errors.New("malformed page token or size")
	errParameter  = errors.New("unknown parameter")
	errReader     = errors.New("the reader is gone, or too slow")
	errNobody     = errors.New("a public key or a contact code is needed")

	errNoWebhook       = errors.New("the identity has no such webhook")
	errTooManyWebhooks = fmt.Errorf("as many webhooks as there may be: %d of an identity", maxPerIdentity)
	errHasLetters      = errors.New("the webhook has dead letters: redeliver, drop or discard them")
	errChoice          = errors.New("either event ids or all are needed")
	errNoLetter        = errors.New("it is no dead letter any more")
	errNotNamed        = errors.New("it is another one than its name says")
)

// statuses says which status an error has for callers. The first that fits counts.
var statuses = []struct {
	of   error
	code connect.Code
}{
	{errNoToken, connect.CodeUnauthenticated},
	{token.ErrUnknown, connect.CodeUnauthenticated},
	{token.ErrExpired, connect.CodeUnauthenticated},
	{errNotFor, connect.CodePermissionDenied},
	{errNotHosted, connect.CodeNotFound},
	{errGone, connect.CodeNotFound},
	{errNoContact, connect.CodeNotFound},
	{errWhich, connect.CodeFailedPrecondition},
	{errRate, connect.CodeResourceExhausted},
	{errBusy, connect.CodeResourceExhausted},
	{errStreams, connect.CodeResourceExhausted},
	{errStopping, connect.CodeUnavailable},
	{errTooMany, connect.CodeInvalidArgument},
	{errMessageID, connect.CodeInvalidArgument},
	{errRecipients, connect.CodeInvalidArgument},
	{errCursor, connect.CodeInvalidArgument},
	{errPage, connect.CodeInvalidArgument},
	{errParameter, connect.CodeInvalidArgument},
	{errReader, connect.CodeAborted},
	{errNobody, connect.CodeInvalidArgument},
	{errNoWebhook, connect.CodeNotFound},
	{errTooManyWebhooks, connect.CodeFailedPrecondition},
	{errHasLetters, connect.CodeFailedPrecondition},
	{errChoice, connect.CodeInvalidArgument},
	{errNoLetter, connect.CodeAborted},
	{webhook.ErrURL, connect.CodeInvalidArgument},
	{webhook.ErrAddress, connect.CodeInvalidArgument},

	{cause.ErrStoreFull, connect.CodeUnavailable},
	{cause.ErrNotDurable, connect.CodeUnavailable},
	{rookery.ErrClosed, connect.CodeUnavailable},
	{cause.ErrOverloaded, connect.CodeResourceExhausted},
	{rookery.ErrNotHosted, connect.CodeNotFound},
	{rookery.ErrDeleted, connect.CodeNotFound},
	{cause.ErrUnknownInstallation, connect.CodeNotFound},
	{rookery.ErrIdentityExists, connect.CodeAlreadyExists},
	{cause.ErrSendKeyUsed, connect.CodeAlreadyExists},
	{rookery.ErrRetired, connect.CodeFailedPrecondition},
	{cause.ErrBlocked, connect.CodeFailedPrecondition},
	{cause.ErrNoTarget, connect.CodeFailedPrecondition},
	{cause.ErrNoRequest, connect.CodeFailedPrecondition},
	{cause.ErrStalePreKey, connect.CodeFailedPrecondition},
	{cause.ErrTooManyInstallations, connect.CodeFailedPrecondition},
	{cause.ErrUnsent, connect.CodeAborted},
	{cause.ErrWithdrawn, connect.CodeAborted},
	{rookery.ErrPayloadSize, connect.CodeInvalidArgument},
	{rookery.ErrPublicKey, connect.CodeInvalidArgument},
	{rookery.ErrPrivateKey, connect.CodeInvalidArgument},
	{rookery.ErrPhrase, connect.CodeInvalidArgument},
	{rookery.ErrName, connect.CodeInvalidArgument},
	{rookery.ErrOptions, connect.CodeInvalidArgument},
	{rookery.ErrSendKey, connect.CodeInvalidArgument},
	{cause.ErrOwnIdentity, connect.CodeInvalidArgument},
	{rookery.ErrContactCode, connect.CodeInvalidArgument},
	{rookery.ErrNewerContactCode, connect.CodeInvalidArgument},
	{cause.ErrUntrustedBundle, connect.CodeInvalidArgument},
	{cause.ErrMalformed, connect.CodeInvalidArgument},
	{context.Canceled, connect.CodeCanceled},
	{context.DeadlineExceeded, connect.CodeDeadlineExceeded},
}

// errInternal is all that callers get to know of errors that nobody foresaw.
var errInternal = errors.New("internal error; the log says more under the request id")

// status is an error as callers get it; nil stays nil. Of one that nobody foresaw it
// also gives the cause, for the log.
func status(err error) (told *connect.Error, unforeseen error) {
	var has *connect.Error
	if errors.As(err, &has) {
		return has, nil
	}
	for _, s := range statuses {
		if errors.Is(err, s.of) {
			return connect.NewError(s.code, errors.New(printable(err.Error()))), nil
		}
	}
	return connect.NewError(connect.CodeInternal, errInternal), err
}

// printable is text that others may have chosen, as everybody can show it.
func printable(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }
