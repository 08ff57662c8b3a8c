package wakurest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
)

const (
	storeV1 = "/store/v1/messages"
	storeV3 = "/store/v3/messages"

	// maxPage is how many messages nodes give at once.
	maxPage = 100
	// maxCursor bounds what a node may have us hand back (bytes).
	maxCursor = 4 << 10
)

// store asks a node for pages of what it, or one that it knows, has kept.
type store struct {
	node         *node
	pubsub, peer string
	oldOnly      atomic.Bool // there is no third version
}

// question is what is asked: the topics from since up to and with last.
type question struct {
	topics      []carrier.Topic
	since, last int64
	size        int
	cursor      url.Values // nil for the first page
	path        string     // how it is asked, empty until there was an answer
}

// page is an answer.
type page struct {
	messages []carrier.Received
	count    int        // with those that are none
	next     url.Values // nil for the last page
}

func (q *question) values(s *store) url.Values {
	v := url.Values{}
	v.Set("pubsubTopic", s.pubsub)
	names := make([]string, len(q.topics))
	for i, t := range q.topics {
		names[i] = string(t)
	}
	v.Set("contentTopics", strings.Join(names, ","))
	if q.since > 0 {
		v.Set("startTime", strconv.FormatInt(q.since, 10))
	}
	v.Set("endTime", strconv.FormatInt(q.last, 10))
	v.Set("pageSize", strconv.Itoa(q.size))
	v.Set("ascending", "true")
	if s.peer != "" {
		v.Set("peerAddr", s.peer)
	}
	for name, values := range q.cursor {
		v[name] = values
	}
	return v
}

// ask asks by the third version of the protocol, and by the first where there is no
// other: a go-waku node has only the first for its own store, and the third for those
// of others. Pages after the first are asked for as the first was.
func (s *store) ask(ctx context.Context, q *question) (*page, error) {
	if q.path != "" {
		return s.askBy(ctx, q.path, q)
	}
	var third, first *refusal
	if !s.oldOnly.Load() {
		p, err := s.askBy(ctx, storeV3, q)
		if err == nil {
			q.path = storeV3
		}
		if !errors.As(err, &third) || third.busy() {
			return p, err
		}
	}
	p, err := s.askBy(ctx, storeV1, q)
	if errors.As(err, &first) {
		s.oldOnly.Store(false)
		switch {
		case first.busy():
			return nil, err
		case third == nil:
			return nil, retriable(err)
		case third.none() && first.none():
			return nil, fmt.Errorf("%w: %w; %w", carrier.ErrNoHistory, third, first)
		case first.none():
			return nil, third
		}
		return nil, err
	}
	if err == nil {
		q.path = storeV1
		if third != nil && third.none() {
			s.oldOnly.Store(true)
		}
	}
	return p, err
}

// none: there is no such store.
func (r *refusal) none() bool {
	text := strings.ToLower(r.text)
	return r.status == http.StatusNotFound || r.status == http.StatusNotImplemented ||
		strings.Contains(text, "not supported") || strings.Contains(text, "not running")
}

// storeReply has the fields of both versions and kinds of node.
type storeReply struct {
	Cursor      *cursorV1 `json:"cursor"`
	CursorCamel string    `json:"paginationCursor"`
	CursorSnake string    `json:"pagination_cursor"`
	StatusCamel decimal   `json:"statusCode"`
	StatusSnake decimal   `json:"status_code"`
	DescCamel   string    `json:"statusDesc"`
	DescSnake   string    `json:"status_desc"`
}

// cursorV1 is a place in a store by the first version. nwaku has numbers where go-waku
// has texts, and an object with the digest.
type cursorV1 struct {
	SenderTime decimal         `json:"senderTime"`
	StoreTime  decimal         `json:"storeTime"`
	Digest     json.RawMessage `json:"digest"`
}

func (s *store) askBy(ctx context.Context, path string, q *question) (*page, error) {
	v := q.values(s)
	if path == storeV3 {
		v.Set("includeData", "true")
	}
	// Small pages are asked for where many are held at once.
	r, err := s.node.open(ctx, http.MethodGet, path, v, nil, maxAnswer+int64(q.size)*maxMessage)
	if err != nil {
		return nil, err
	}
	defer r.close()
	if err := r.refused(); err != nil {
		return nil, err
	}
	p := new(page)
	fields, err := s.read(r, path, p)
	if err != nil {
		return nil, err
	}
	if status := max(fields.StatusCamel, fields.StatusSnake); status != 0 && status != http.StatusOK {
		return nil, &refusal{what: r.what, status: int(min(status, 999)), text: printable([]byte(fields.DescCamel + fields.DescSnake))}
	}
	p.next, err = fields.next(r.what)
	return p, err
}

// read takes the messages one by one, and gives what else there is.
func (s *store) read(r *reply, path string, p *page) (*storeReply, error) {
	now := time.Now()
	d := json.NewDecoder(r)
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return nil, shape(r, err)
	}
	rest := make(map[string]json.RawMessage)
	for {
		r.allow(maxMessage)
		if !d.More() {
			break
		}
		name, err := d.Token()
		if err != nil {
			return nil, shape(r, err)
		}
		if name != "messages" {
			var value json.RawMessage
			if err := d.Decode(&value); err != nil || len(rest) > 32 {
				return nil, shape(r, err)
			}
			rest[fmt.Sprint(name)] = value
			continue
		}
		bare := false
		count, _, err := list(r, d, maxPage, func(element json.RawMessage) {
			m, ok := storedMessage(element, path)
			bare = bare || !ok
			if received, ok := m.received(now); ok {
				p.messages = append(p.messages, received)
			}
		})
		if err != nil {
			return nil, shape(r, err)
		}
		if p.count += count; bare {
			return nil, fmt.Errorf("%s: message without data: %w", r.what, errShape)
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, shape(r, err)
	}
	fields := new(storeReply)
	text, err := json.Marshal(rest)
	if err == nil {
		err = json.Unmarshal(text, fields)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.what, errShape)
	}
	return fields, nil
}

// storedMessage is a message in a page; false if its data is not there.
func storedMessage(element json.RawMessage, path string) (m incoming, ok bool) {
	if path == storeV1 {
		_ = json.Unmarshal(element, &m) // what is not one of ours is passed over
		return m, true
	}
	var keyed struct {
		Message json.RawMessage `json:"message"`
	}
	if json.Unmarshal(element, &keyed) != nil || len(keyed.Message) == 0 {
		return m, false
	}
	_ = json.Unmarshal(keyed.Message, &m)
	return m, true
}

// shape is errShape for what is no such JSON, and err if the answer has failed.
func shape(r *reply, err error) error {
	var syntax *json.SyntaxError
	var wrong *json.UnmarshalTypeError
	if err == nil || errors.As(err, &syntax) || errors.As(err, &wrong) {
		return fmt.Errorf("%s: %w", r.what, errShape)
	}
	return err
}

// next is what to ask for the page after this one.
func (f *storeReply) next(what string) (url.Values, error) {
	v := url.Values{}
	switch {
	case f.CursorCamel != "":
		v.Set("cursor", f.CursorCamel) // 0x and hex, or base64, as nwaku wants it back
	case f.CursorSnake != "":
		v.Set("cursor", toURLSafe.Replace(f.CursorSnake)) // go-waku wants the other alphabet
	case f.Cursor != nil:
		digest, err := f.Cursor.digest()
		if err != nil {
			return nil, fmt.Errorf("%s: cursor: %w", what, errShape)
		}
		v.Set("senderTime", strconv.FormatInt(int64(f.Cursor.SenderTime), 10))
		v.Set("storeTime", strconv.FormatInt(int64(f.Cursor.StoreTime), 10))
		v.Set("digest", digest)
	default:
		return nil, nil
	}
	if len(v.Encode()) > maxCursor {
		return nil, fmt.Errorf("%s: cursor: %w", what, errTooLong)
	}
	return v, nil
}

// digest is that of a cursor as its node wants it back.
func (c *cursorV1) digest() (string, error) {
	var nested struct {
		Data octets `json:"data"`
	}
	if err := json.Unmarshal(c.Digest, &nested); err == nil && len(nested.Data) > 0 {
		// nwaku decodes a question twice, and the first time has made "+" of "%2B".
		return url.QueryEscape(base64.StdEncoding.EncodeToString(nested.Data)), nil
	}
	var plain octets
	if err := json.Unmarshal(c.Digest, &plain); err != nil || len(plain) == 0 {
		return "", errShape
	}
	return base64.URLEncoding.EncodeToString(plain), nil
}
