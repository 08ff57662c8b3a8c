package jetstream

import (
	"errors"
	"testing"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"

	"github.com/rookery-im/rookery/transport/carrier"
)

// TestAnswersToPublications: what may be tried again, and what not.
func TestAnswersToPublications(t *testing.T) {
	for name, test := range map[string]struct {
		data string
		want error
	}{
		"taken":             {`{"stream":"rookery","seq":5}`, nil},
		"taken before":      {`{"stream":"rookery","seq":5,"duplicate":true}`, nil},
		"nobody listens":    {``, carrier.ErrUnreachable},
		"nonsense":          {`{`, carrier.ErrUnreachable},
		"empty":             {`{}`, carrier.ErrUnreachable},
		"too large":         {`{"error":{"code":400,"err_code":10054}}`, carrier.ErrMessage},
		"another stream":    {`{"error":{"code":400,"err_code":10060}}`, carrier.ErrUnreachable},
		"sealed":            {`{"error":{"code":400,"err_code":10109}}`, carrier.ErrUnreachable},
		"disk is full":      {`{"error":{"code":503,"err_code":10023}}`, carrier.ErrBusy},
		"account is full":   {`{"error":{"code":400,"err_code":10002}}`, carrier.ErrBusy},
		"stream is full":    {`{"error":{"code":503,"err_code":10077}}`, carrier.ErrBusy},
		"too many requests": {`{"error":{"code":429,"err_code":10167}}`, carrier.ErrBusy},
		"no leader":         {`{"error":{"code":503,"err_code":10008}}`, carrier.ErrUnreachable},
		"late":              {`{"error":{"code":408,"err_code":1}}`, carrier.ErrUnreachable},
		"no code":           {`{"error":{"description":"unknown"}}`, carrier.ErrUnreachable},
	} {
		if err := answer(&nats.Msg{Data: []byte(test.data)}); !errors.Is(err, test.want) {
			t.Errorf("%s: got error %v, want %v", name, err, test.want)
		}
	}
}

// TestRefusedRequests: those that make no sense are for the operator, others may pass.
func TestRefusedRequests(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		want error
	}{
		"bad request": {&js.APIError{Code: 400, ErrorCode: js.JSErrCodeBadRequest}, ErrStream},
		"not found":   {&js.APIError{Code: 404, ErrorCode: js.JSErrCodeStreamNotFound}, carrier.ErrUnreachable},
		"no leader":   {&js.APIError{Code: 503, ErrorCode: 10008}, carrier.ErrUnreachable},
		"no service":  {nats.ErrNoResponders, carrier.ErrUnreachable},
		"denied":      {ErrDenied, ErrDenied},
		"closed":      {carrier.ErrClosed, carrier.ErrClosed},
		"none":        {nil, nil},
	} {
		if err := asked("it", test.err); !errors.Is(err, test.want) {
			t.Errorf("%s: got error %v, want %v", name, err, test.want)
		}
	}
}
