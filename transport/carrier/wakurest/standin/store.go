package standin

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

var (
	errCursor    = errors.New("invalid cursor")
	errNoStore   = errors.New("not running local store")
	errNoStoreV3 = errors.New("protocols not supported: [/vac/waku/store-query/3.0.0]")
	errNoPeer    = errors.New("failed to dial: no such peer")
)

// asked is what both versions ask for, and the decoded rest.
func (n *Node) asked(q *request) (*question, url.Values, error) {
	v := q.URL.Query()
	if n.o.Flavour == Nwaku { // decodes everything once more
		for name := range v {
			decoded, err := url.QueryUnescape(v.Get(name))
			if err != nil {
				return nil, nil, err
			}
			v.Set(name, decoded)
		}
	}
	asked := &question{pubsub: v.Get("pubsubTopic"), descending: v.Get("ascending") == "false"}
	if topics := v.Get("contentTopics"); topics != "" {
		asked.topics = strings.Split(topics, ",")
	}
	for name, to := range map[string]*int64{"startTime": &asked.since, "endTime": &asked.until} {
		if text := v.Get(name); text != "" {
			value, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				return nil, nil, err
			}
			*to = max(value, 0)
		}
	}
	if text := v.Get("pageSize"); text != "" {
		size, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return nil, nil, err
		}
		asked.size = int(size)
	}
	if len(asked.topics) > maxTopicsAsked {
		return nil, nil, errors.New("exceeds the maximum number of content topics")
	}
	return asked, v, nil
}

// firstPage is what go-waku answers by the first version.
type firstPage struct {
	Messages []gowakuStored `json:"messages"`
	Cursor   *gowakuCursor  `json:"cursor,omitempty"`
	Error    string         `json:"error_message,omitempty"`
}

type gowakuStored struct {
	Payload      []byte  `json:"payload"`
	ContentTopic string  `json:"contentTopic"`
	Version      *uint32 `json:"version,omitempty"`
	Timestamp    *int64  `json:"timestamp,omitempty"`
}

type gowakuCursor struct {
	PubsubTopic string `json:"pubsubTopic"`
	SenderTime  string `json:"senderTime"`
	StoreTime   string `json:"storeTime"`
	Digest      []byte `json:"digest"`
}

// nwakuFirstPage is what nwaku answers, whose numbers are numbers.
type nwakuFirstPage struct {
	Messages []nwakuMessage `json:"messages"`
	Cursor   *nwakuCursor   `json:"cursor,omitempty"`
}

type nwakuCursor struct {
	PubsubTopic string      `json:"pubsubTopic"`
	SenderTime  int64       `json:"senderTime"`
	StoreTime   int64       `json:"storeTime"`
	Digest      nwakuDigest `json:"digest"`
}

type nwakuDigest struct {
	Data []byte `json:"data"`
}

// askFirst answers by the first version: a go-waku node for itself, if no other is
// named.
func (n *Node) askFirst(q *request) answer {
	asked, v, err := n.asked(q)
	if err == nil {
		err = checkNumbers(v)
	}
	if err != nil {
		return n.refuseFirst(http.StatusBadRequest, err)
	}
	from := n
	if address := v.Get("peerAddr"); address != "" {
		from = n.net.withStore(address, 0, n)
	} else if n.o.NoStore && n.o.Flavour == Nwaku {
		from = n.net.withStore("", Nwaku, n)
	}
	switch {
	case from == nil && v.Get("peerAddr") == "":
		return n.text(http.StatusPreconditionFailed, "No suitable service peer & none discovered")
	case from == nil:
		return n.refuseFirst(http.StatusInternalServerError, errNoPeer)
	case from.o.NoStore:
		return n.refuseFirst(http.StatusInternalServerError, errNoStore)
	}
	if digest := v.Get("digest"); digest != "" {
		alphabet := base64.URLEncoding
		if n.o.Flavour == Nwaku {
			alphabet = base64.StdEncoding
		}
		want, err := alphabet.DecodeString(digest)
		if err != nil {
			return n.refuseFirst(http.StatusBadRequest, err)
		}
		at, sent := v.Get("storeTime"), v.Get("senderTime")
		asked.after = from.archive.find(func(r *row) bool {
			return string(r.digest[:]) == string(want) && strconv.FormatInt(r.received, 10) == at && strconv.FormatInt(r.time(), 10) == sent
		})
		if asked.after == nil && from.lie == Honest {
			return n.refuseFirst(http.StatusInternalServerError, errCursor)
		}
	}
	p, instead := from.lied(asked)
	if instead != nil {
		return *instead
	}
	return n.first(&p)
}

func checkNumbers(v url.Values) error {
	for _, name := range []string{"senderTime", "storeTime"} {
		if text := v.Get(name); text != "" {
			if _, err := strconv.ParseInt(text, 10, 64); err != nil {
				return err
			}
		}
	}
	return nil
}

func (n *Node) refuseFirst(status int, err error) answer {
	if n.o.Flavour == Nwaku {
		return n.text(status, err.Error())
	}
	return n.json(status, firstPage{Error: err.Error()})
}

func (n *Node) first(p *page) answer {
	if n.o.Flavour == Nwaku {
		out := nwakuFirstPage{Messages: []nwakuMessage{}}
		for _, r := range p.rows {
			out.Messages = append(out.Messages, r.nwaku())
		}
		if r := p.next; r != nil {
			out.Cursor = &nwakuCursor{r.pubsub, r.time(), r.received, nwakuDigest{r.digest[:]}}
		}
		return n.json(http.StatusOK, out)
	}
	var out firstPage
	for _, r := range p.rows {
		out.Messages = append(out.Messages, gowakuStored{r.payload, r.topic, r.version, r.timestamp})
	}
	if r := p.next; r != nil {
		out.Cursor = &gowakuCursor{r.pubsub, strconv.FormatInt(r.time(), 10), strconv.FormatInt(r.received, 10), r.digest[:]}
	}
	return n.json(http.StatusOK, out)
}

// askThird answers by the third version, which a go-waku node can only ask others.
func (n *Node) askThird(q *request) answer {
	asked, v, err := n.asked(q)
	if err == nil && n.o.Flavour == GoWaku && (asked.pubsub == "" || len(asked.topics) == 0) {
		err = errors.New("pubsubTopic and contentTopics are required")
	}
	var cursor []byte
	if text := v.Get("cursor"); err == nil && text != "" {
		if n.o.Flavour == Nwaku {
			cursor, err = hex.DecodeString(strings.TrimPrefix(text, "0x"))
		} else {
			cursor, err = base64.URLEncoding.DecodeString(text)
		}
	}
	if err != nil {
		if n.o.Flavour == Nwaku {
			return n.text(http.StatusBadRequest, err.Error())
		}
		return n.json(http.StatusBadRequest, map[string]any{"status_code": http.StatusBadRequest, "status_desc": err.Error()})
	}
	from := n
	if address := v.Get("peerAddr"); address != "" || n.o.Flavour == GoWaku || n.o.NoStore {
		from = n.net.withStore(address, Nwaku, n)
	}
	switch {
	case (from == nil || from.o.Flavour != Nwaku) && n.o.Flavour == GoWaku:
		return n.json(http.StatusInternalServerError, firstPage{Error: errNoStoreV3.Error()})
	case from == nil:
		return n.text(http.StatusPreconditionFailed, "No suitable service peer & none discovered")
	}
	if cursor != nil {
		asked.after = from.archive.find(func(r *row) bool { return string(r.hash[:]) == string(cursor) })
		if asked.after == nil && from.lie == Honest {
			return n.third(&page{}, true) // seen: nothing, and no error
		}
	}
	p, instead := from.lied(asked)
	if instead != nil {
		return *instead
	}
	return n.third(&p, v.Get("includeData") == "true" && from.lie != NoData)
}

// third writes a page in the form of the flavour.
func (n *Node) third(p *page, data bool) answer {
	out := map[string]any{"messages": []any{}}
	hash := func(r *row) any { return "0x" + hex.EncodeToString(r.hash[:]) }
	code, desc, next, key, shard := "statusCode", "statusDesc", "paginationCursor", "messageHash", "pubsubTopic"
	if n.o.Flavour == GoWaku {
		hash = func(r *row) any { return r.hash[:] }
		code, desc, next, key, shard = "status_code", "status_desc", "pagination_cursor", "message_hash", "pubsub_topic"
		out["request_id"] = "5f0c"
	} else {
		out["requestId"] = ""
	}
	out[code], out[desc] = http.StatusOK, "OK"
	list := make([]any, 0, len(p.rows))
	for _, r := range p.rows {
		entry := map[string]any{key: hash(r)}
		if data {
			entry[shard], entry["message"] = r.pubsub, r.nwaku()
			if n.o.Flavour == GoWaku {
				entry["message"] = r.snake()
			}
		}
		list = append(list, entry)
	}
	out["messages"] = list
	if p.next != nil {
		out[next] = hash(p.next)
	}
	return n.json(http.StatusOK, out)
}

// snake is a message as go-waku hands it on from another node's store.
func (m *message) snake() map[string]any {
	out := map[string]any{"payload": m.payload, "content_topic": m.topic}
	if m.timestamp != nil {
		out["timestamp"] = json.Number(strconv.FormatInt(*m.timestamp, 10))
	}
	if m.version != nil {
		out["version"] = *m.version
	}
	return out
}
