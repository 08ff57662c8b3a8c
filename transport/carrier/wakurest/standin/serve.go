package standin

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Fault is what goes wrong with one request. Of several fields the first counts.
type Fault struct {
	Status     int    // answered instead, with Body
	Body       string // text, or JSON if it begins like that
	RetryAfter string
	Hang       bool // no answer
	Drop       bool // the connection ends, nothing was done
	Lose       bool // the connection ends, after everything was done
	Truncate   bool // half of the answer, then the connection ends
	Endless    bool // a list of messages without an end
	Trickle    bool // an answer that never ends, byte by byte
}

// Fail makes a node ask for each request what is to go wrong, if anything; nil ends
// that.
func (n *Node) Fail(fault func(*http.Request) *Fault) {
	n.net.mu.Lock()
	defer n.net.mu.Unlock()
	n.fault = fault
}

// answer is what a node says.
type answer struct {
	status int
	kind   string // content type
	body   []byte
	hang   bool
}

const (
	jsonKind      = "application/json; charset=UTF-8"
	plainJSONKind = "application/json"
	textKind      = "text/plain; charset=utf-8"
	plainTextKind = "text/plain"
)

// Handler is the REST interface of a node.
func (n *Node) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.net.mu.Lock()
		down, fail, hung := n.down, n.fault, n.hung
		n.net.mu.Unlock()
		var fault Fault
		if fail != nil {
			if f := fail(r); f != nil {
				fault = *f
			}
		}
		switch {
		case down, fault.Drop:
			drop(w, nil)
			return
		case fault.Status != 0:
			a := answer{status: fault.Status, kind: textKind, body: []byte(fault.Body)}
			if strings.HasPrefix(fault.Body, "{") || strings.HasPrefix(fault.Body, "[") {
				a.kind = jsonKind
			}
			if fault.RetryAfter != "" {
				w.Header().Set("Retry-After", fault.RetryAfter)
			}
			a.write(w)
			return
		case fault.Endless:
			endless(w, r)
			return
		case fault.Trickle:
			trickle(w, r)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 4<<20))
		if err != nil {
			drop(w, nil)
			return
		}
		var a answer
		if !fault.Hang {
			a = n.serve(r, body)
		}
		switch {
		case fault.Hang || a.hang:
			select {
			case <-r.Context().Done():
			case <-hung:
			}
			drop(w, nil)
		case fault.Lose:
			drop(w, nil)
		case fault.Truncate:
			drop(w, &a)
		default:
			a.write(w)
		}
	})
}

func (a *answer) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", a.kind)
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) //nolint:gosec // read by tests, not by browsers
}

// drop ends the connection, perhaps after half of an answer.
func drop(w http.ResponseWriter, a *answer) {
	if a != nil {
		half := *a
		half.body = a.body[:len(a.body)/2]
		half.write(w)
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
	}
	panic(http.ErrAbortHandler)
}

func endless(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", jsonKind)
	element := `{"payload":"aGk=","contentTopic":"/waku/1/0x00000000/rfc26","version":1,"timestamp":1795226506384379336},`
	chunk := strings.Repeat(element, 500)
	_, err := io.WriteString(w, `[`)
	for err == nil && r.Context().Err() == nil {
		_, err = io.WriteString(w, chunk)
	}
}

func trickle(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", jsonKind)
	_, err := io.WriteString(w, `[`)
	for err == nil {
		select {
		case <-r.Context().Done():
			return
		case <-time.After(5 * time.Millisecond):
		}
		if _, err = io.WriteString(w, ` `); err == nil {
			err = http.NewResponseController(w).Flush()
		}
	}
}

// request is one that came in, with the parts of its path decoded.
type request struct {
	*http.Request
	parts []string
	body  []byte
}

func (n *Node) serve(r *http.Request, body []byte) answer {
	q := &request{Request: r, body: body}
	for _, part := range strings.Split(strings.Trim(r.URL.EscapedPath(), "/"), "/") {
		decoded, err := url.QueryUnescape(part) // both kinds decode "+", too
		if err != nil {
			return n.text(http.StatusBadRequest, "invalid path")
		}
		q.parts = append(q.parts, decoded)
	}
	if n.o.Flavour == Nwaku && len(body) > 0 && !nwakuTakes(r) {
		return n.text(http.StatusBadRequest, "Wrong Content-Type, expected application/json or text/plain")
	}
	n.net.mu.Lock()
	defer n.net.mu.Unlock()
	route, ok := n.route(q)
	if !ok {
		if n.o.Flavour == Nwaku {
			return n.text(http.StatusNotFound, "")
		}
		return n.text(http.StatusNotFound, "404 page not found\n")
	}
	return route(q)
}

// nwakuTakes: filter takes JSON only, the others text, too.
func nwakuTakes(r *http.Request) bool {
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	return kind == plainJSONKind || (kind == plainTextKind && !strings.HasPrefix(r.URL.Path, "/filter/"))
}

func (n *Node) route(q *request) (func(*request) answer, bool) {
	start := q.Method + " " + strings.Join(q.parts[:min(3, len(q.parts))], "/")
	routes := map[string]map[int]func(*request) answer{ // by the number of parts
		"GET relay/v1/messages":         {4: n.readRelay},
		"POST relay/v1/messages":        {4: n.publishRelay},
		"POST relay/v1/subscriptions":   {3: n.subscribeRelay},
		"DELETE relay/v1/subscriptions": {3: n.unsubscribeRelay},
		"POST filter/v2/subscriptions":  {3: n.subscribeFilter},
		"DELETE filter/v2/subscriptions": {
			3: n.unsubscribeFilter,
			4: n.unsubscribeAllFilter,
		},
		"GET filter/v2/subscriptions": {4: n.pingFilter},
		"GET filter/v2/messages":      {4: n.readFilter},
		"POST lightpush/v1/message":   {3: n.push},
		"GET store/v1/messages":       {3: n.askFirst},
		"GET store/v3/messages":       {3: n.askThird},
		"GET debug/v1/version":        {3: n.version},
		"GET debug/v1/info":           {3: n.info},
		"GET health":                  {1: n.health},
	}
	if n.o.Flavour == GoWaku {
		routes["GET filter/v2/messages"][5] = n.readFilter
		routes["POST relay/v1/auto"] = map[int]func(*request) answer{4: n.postAuto}
		routes["GET relay/v1/auto"] = map[int]func(*request) answer{5: n.readAuto}
		routes["GET admin/v1/peers"] = map[int]func(*request) answer{3: n.peers}
	} else {
		routes["PUT filter/v2/subscriptions"] = routes["POST filter/v2/subscriptions"]
		routes["POST lightpush/v3/message"] = map[int]func(*request) answer{3: n.pushThird}
		routes["GET version"] = map[int]func(*request) answer{1: n.version}
		routes["GET info"] = map[int]func(*request) answer{1: n.info}
	}
	route, ok := routes[start][len(q.parts)]
	return route, ok
}

func (n *Node) text(status int, text string) answer {
	kind := textKind
	if n.o.Flavour == Nwaku {
		kind = plainTextKind
	}
	return answer{status: status, kind: kind, body: []byte(text)}
}

func (n *Node) json(status int, value any) answer {
	kind := jsonKind
	if n.o.Flavour == Nwaku {
		kind = plainJSONKind
	}
	body, err := json.Marshal(value)
	if err != nil {
		return n.text(http.StatusInternalServerError, err.Error())
	}
	return answer{status: status, kind: kind, body: body}
}

// done is how both say that something was done.
func (n *Node) done() answer {
	if n.o.Flavour == Nwaku {
		return n.text(http.StatusOK, "OK")
	}
	return n.json(http.StatusOK, true)
}

// empty is how go-waku says 500.
func (n *Node) empty() answer { return answer{status: http.StatusInternalServerError, kind: jsonKind} }
