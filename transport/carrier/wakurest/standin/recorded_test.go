package standin_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rookery-im/rookery/transport/carrier/wakurest/standin"
)

const shard = "/waku/2/rs/16/32"

// exchange is a request that was made of a go-waku node, and what it has answered.
type exchange struct {
	line               int
	method, port, path string
	kind, body         string // of the request
	status             string
	answerKind, answer string
}

// recorded reads exchanges as curl and a script have written them.
func recorded(t *testing.T, name string) []exchange {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // was only read
	var all []exchange
	var open *exchange
	lines := bufio.NewScanner(file)
	for n := 1; lines.Scan(); n++ {
		switch line := lines.Text(); {
		case strings.HasPrefix(line, "$ curl "):
			open = request(line)
			open.line = n
		case open != nil && strings.HasPrefix(line, "[HTTP "):
			fields := strings.SplitN(strings.Trim(line, "[]"), " ", 3)
			open.status, open.answerKind = fields[1], fields[2]
			open.answer = strings.TrimSpace(open.answer)
			all, open = append(all, *open), nil
		case open != nil:
			open.answer += line + "\n"
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func request(line string) *exchange {
	e := &exchange{method: http.MethodGet, kind: "application/x-www-form-urlencoded"}
	words := strings.Fields(line)[2:]
	for i := 0; i < len(words); i++ {
		switch words[i] {
		case "-X":
			i++
			e.method = words[i]
		case "-H":
			e.kind = words[i+2]
			i += 2
		case "-d":
			e.body = strings.Join(words[i+1:], " ")
			i = len(words)
		default:
			e.port, e.path, _ = strings.Cut(strings.TrimPrefix(words[i], "http://127.0.0.1:"), "/")
		}
	}
	return e
}

// TestRecordedExchangesAreAnsweredAsRecorded makes the requests that were once made
// of two connected go-waku nodes again, in their order.
func TestRecordedExchangesAreAnsweredAsRecorded(t *testing.T) {
	network := standin.NewNetwork()
	a := network.Node(standin.Options{Address: "/ip4/127.0.0.1/tcp/60000/p2p/16Uiu2HAmHzBkRq62mG95vsjKMuYQBezZCtjPXYWUoyVxMxi71aB3", MinPeers: 1})
	b := network.Node(standin.Options{NoStore: true, Address: "/ip4/127.0.0.1/tcp/60002/p2p/b"})
	ports := map[string]string{"8645": serve(t, a), "8647": serve(t, b)}
	exchanges := recorded(t, "testdata/gowaku_rest.txt")
	if len(exchanges) != 39 {
		t.Fatalf("%d exchanges, want 39", len(exchanges))
	}
	for _, e := range exchanges {
		request, err := http.NewRequestWithContext(t.Context(), e.method, ports[e.port]+"/"+e.path, strings.NewReader(e.body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", e.kind)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close() //nolint:errcheck // was only read
		got, want := strings.TrimSpace(string(body)), e.answer
		if fmt.Sprint(response.StatusCode) != e.status || response.Header.Get("Content-Type") != e.answerKind {
			t.Errorf("line %d: %s %s: got %d %s, want %s %s", e.line, e.method, e.path, response.StatusCode, response.Header.Get("Content-Type"), e.status, e.answerKind)
		}
		if got != want && !(made(e.path) && sameShape(t, got, want)) {
			t.Errorf("line %d: %s %s:\n got %s\nwant %s", e.line, e.method, e.path, got, want)
		}
	}
}

// made are answers about the very node, or with the time when it has got a message:
// only their form can be the same.
func made(path string) bool {
	return strings.HasPrefix(path, "debug/") || strings.HasPrefix(path, "admin/") || strings.HasPrefix(path, "store/v1/")
}

func sameShape(t *testing.T, a, b string) bool {
	t.Helper()
	var left, right any
	if json.Unmarshal([]byte(a), &left) != nil || json.Unmarshal([]byte(b), &right) != nil {
		return false
	}
	return reflect.DeepEqual(form(left), form(right))
}

// form is JSON without its values, but with the number of elements.
func form(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any)
		for name, value := range v {
			if name == "protocols" || name == "pubsubTopics" {
				value = "a list"
			}
			out[name] = form(value)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = form(v[i])
		}
		return out
	}
	return reflect.TypeOf(v)
}

func serve(t *testing.T, n *standin.Node) string {
	t.Helper()
	server := httptest.NewServer(n.Handler())
	t.Cleanup(server.Close)
	return server.URL
}

// storedPage is a page of the first version of the store.
type storedPage struct {
	Messages []struct {
		Payload []byte `json:"payload"`
	} `json:"messages"`
	Cursor *struct {
		PubsubTopic, SenderTime, StoreTime, Digest string
	} `json:"cursor"`
}

func (p *storedPage) names() []string {
	names := []string{}
	for _, m := range p.Messages {
		names = append(names, string(m.Payload))
	}
	return names
}

// TestPagesAreThoseRecorded asks for the pages that a go-waku node was once asked for:
// 25 messages, with times and digests that are written down in testdata.
func TestPagesAreThoseRecorded(t *testing.T) {
	const first = 1795226575856522259
	topic := "/waku/1/0x0a0b0c0d/rfc26"
	n := standin.NewNetwork().Node(standin.Options{})
	for i := range 25 {
		n.Keep(standin.Message{PubsubTopic: shard, ContentTopic: topic, Payload: fmt.Appendf(nil, "m%02d", i+1), Time: int64(first + i)})
	}
	base := serve(t, n) + "/store/v1/messages?pubsubTopic=%2Fwaku%2F2%2Frs%2F16%2F32&contentTopics=%2Fwaku%2F1%2F0x0a0b0c0d%2Frfc26"
	ask := func(query string) *storedPage {
		status, body := get(t, base+query)
		page := new(storedPage)
		if err := json.Unmarshal([]byte(body), page); err != nil || status != http.StatusOK {
			t.Fatalf("%s: %d %s", query, status, body)
		}
		return page
	}
	text, err := os.ReadFile("testdata/gowaku_rest2.txt")
	if err != nil {
		t.Fatal(err)
	}
	cursor := ""
	for number := 1; number <= 3; number++ {
		page := ask("&pageSize=10&ascending=true" + cursor)
		names, err := json.Marshal(page.names())
		if err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf("page %d: %s cursor=", number, names)
		if c := page.Cursor; c != nil {
			want += fmt.Sprintf(`{"pubsubTopic":%q,"senderTime":%q,"storeTime":%q,"digest":%q}`, c.PubsubTopic, c.SenderTime, c.StoreTime, c.Digest)
			urlSafe := strings.NewReplacer("+", "-", "/", "_").Replace(c.Digest)
			cursor = "&senderTime=" + c.SenderTime + "&storeTime=" + c.StoreTime + "&digest=" + urlSafe
		} else {
			want += "null"
		}
		if !strings.Contains(string(text), want+"\n") {
			t.Errorf("not recorded: %s", want)
		}
	}
	newest := ask("&pageSize=5&ascending=false")
	if got := newest.names(); !slices.Equal(got, []string{"m21", "m22", "m23", "m24", "m25"}) || !strings.Contains(string(text), newest.Cursor.Digest) {
		t.Errorf("descending: %s, cursor %+v", got, newest.Cursor)
	}
	part := ask(fmt.Sprintf("&startTime=%d&endTime=%d", first+2, first+5))
	if got := part.names(); !slices.Equal(got, []string{"m03", "m04", "m05", "m06"}) || part.Cursor != nil {
		t.Errorf("range: %s", got)
	}
	if got := len(ask("&pageSize=1000").Messages); got != 25 {
		t.Errorf("%d messages", got)
	}
	if got := len(ask("").Messages); got != 20 {
		t.Errorf("%d messages on a default page, want 20", got)
	}
}

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	return do(t, http.MethodGet, url, "", "")
}

func do(t *testing.T, method, url, kind, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if kind != "" {
		request.Header.Set("Content-Type", kind)
	}
	client := http.Client{Timeout: time.Minute}
	response, err := client.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close() //nolint:errcheck // was only read
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}
