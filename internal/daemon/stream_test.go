package daemon

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// listening is a stream of Server-Sent Events.
type listening struct {
	h      *house
	body   io.ReadCloser
	lines  *bufio.Scanner
	cancel context.CancelFunc
}

var errEnded = errors.New("stream has ended")

// listen opens a stream behind a cursor.
func (r *resident) listen(after string) *listening {
	r.h.t.Helper()
	l, status, body := r.h.tryListen(r.token, r.key, after)
	if l == nil {
		r.h.t.Fatalf("listen: %d %s", status, body)
	}
	return l
}

func (h *house) tryListen(bearer, identity, after string) (l *listening, status int, body string) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, h.address+"/v1/events?identity="+url.QueryEscape(identity), nil)
	if err != nil {
		h.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+bearer)
	if after != "" {
		r.Header.Set("Last-Event-ID", after)
	}
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		cancel()
		h.t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		defer cancel()
		text, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		return nil, response.StatusCode, string(text)
	}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 4<<20)
	l = &listening{h, response.Body, lines, cancel}
	h.t.Cleanup(l.close)
	return l, response.StatusCode, ""
}

func (l *listening) close() {
	l.cancel()
	_ = l.body.Close()
}

// next gives the next event, or why there is none any more.
func (l *listening) next() (eventSeen, error) {
	end := false
	for l.lines.Scan() {
		line := l.lines.Text()
		if line == "event: end" {
			end = true
		}
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok {
			continue
		}
		if end {
			var f failure
			err := json.Unmarshal([]byte(data), &f)
			return eventSeen{}, errors.Join(errEnded, errors.New(f.Code), err)
		}
		var e eventSeen
		err := json.Unmarshal([]byte(data), &e)
		return e, err
	}
	return eventSeen{}, errors.Join(errEnded, l.lines.Err())
}

// message gives the next message, passing over what else happens.
func (l *listening) message() eventSeen {
	l.h.t.Helper()
	for {
		e, err := l.next()
		if err != nil {
			l.h.t.Fatal(err)
		}
		if e.message() {
			return e
		}
	}
}

// ended reads until the stream is over, and tells why.
func (l *listening) ended() error {
	for {
		if _, err := l.next(); err != nil {
			return err
		}
	}
}

func (r *resident) ack(ids ...string) int {
	r.h.t.Helper()
	var done struct{ Acknowledged int }
	r.call("EventService/AckEvents", object{"ids": ids}, &done)
	return done.Acknowledged
}
