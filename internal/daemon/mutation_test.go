package daemon

import (
	"encoding/json"
	"flag"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	apiv1 "github.com/rookery-im/rookery/proto/api/v1"
)

var (
	mutations = flag.Int("mutations", 4000, "how many requests to alter")
	seed      = flag.Uint64("seed", 1, "of the first random test")
)

// Requests that were altered at random, in JSON and in protobuf, to all methods, get an
// answer of HTTP, never "internal", and the daemon goes on.
func TestAlteredRequestsGetAnAnswer(t *testing.T) {
	h := newHouse(t, func(h *house) {
		inMemory(h)
		h.options.Rate, h.options.Burst = 1e9, 1<<30
		h.quiet = true // a line for each of a million is too much
	})
	alice, bob := h.resident("alice"), h.resident("bob")
	alice.knows(bob)
	methods, bodies := requests(t, alice, bob)
	handler := h.daemon.handler()
	random := rand.New(rand.NewPCG(*seed, 0))
	statuses := make(map[int]int)
	for n := range *mutations {
		at := random.IntN(len(methods))
		contentType := []string{"application/json", "application/proto", "application/grpc-web+proto", "application/connect+json"}[[]int{0, 0, 0, 0, 1, 1, 2, 3}[random.IntN(8)]]
		body := bodies[at].json
		if strings.Contains(contentType, "proto") {
			body = bodies[at].binary
		}
		body = altered(random, body)
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, methods[at], strings.NewReader(string(body)))
		r.Header.Set("Content-Type", contentType)
		bearer := alice.token
		if random.IntN(50) == 0 {
			bearer = string(altered(random, []byte(bearer)))
		}
		r.Header.Set("Authorization", "Bearer "+bearer)
		w := &recorded{httptest.NewRecorder()}
		handler.ServeHTTP(w, r)
		answer := w.Result()
		content, err := io.ReadAll(answer.Body)
		if err != nil || strings.Contains(string(content), errInternal.Error()) || answer.StatusCode == http.StatusInternalServerError {
			t.Fatalf("request %d: %s %s %q: %d %s\nrepeat: go test ./internal/daemon -run TestAlteredRequests -seed %d -mutations %d", n, contentType, methods[at], body, answer.StatusCode, content, *seed, n+1)
		}
		statuses[answer.StatusCode]++
	}
	if statuses[http.StatusOK] == 0 || statuses[http.StatusBadRequest] == 0 {
		t.Errorf("statuses %v", statuses)
	}
	t.Logf("statuses %v", statuses)
	alice.call("IdentityService/GetIdentity", object{}, nil)
}

// recorded is an answer that has no deadlines.
type recorded struct{ *httptest.ResponseRecorder }

func (recorded) SetReadDeadline(time.Time) error { return nil }

func (recorded) SetWriteDeadline(time.Time) error { return nil }

// written is a good request in both forms.
type written struct{ json, binary []byte }

// requests are those to the methods that answer at once.
func requests(t *testing.T, alice, bob *resident) (methods []string, bodies []written) {
	t.Helper()
	var made struct{ Webhook hookSeen }
	alice.h.call(alice.h.admin, "WebhookService/CreateWebhook", object{"identity": alice.key, "url": "https://hooks.example.org"}, &made)
	fields := object{
		"identity": alice.key, "contact": bob.key, "to": bob.key, "publicKey": bob.key, "payload": []byte("hello"),
		"idempotencyKey": "key", "members": []string{bob.key}, "messageId": strings.Repeat("ab", 32), "ids": []string{"m-x"},
		"installation": "x", "name": "n", "phrase": "p", "pageSize": 10, "id": made.Webhook.ID, "url": "https://hooks.example.org", "all": true,
	}
	for _, file := range []protoreflect.FileDescriptor{
		apiv1.File_api_v1_identities_proto, apiv1.File_api_v1_contacts_proto, apiv1.File_api_v1_messages_proto,
		apiv1.File_api_v1_events_proto, apiv1.File_api_v1_daemon_proto, apiv1.File_api_v1_webhooks_proto,
	} {
		for s := range file.Services().Len() {
			service := file.Services().Get(s)
			for m := range service.Methods().Len() {
				method := service.Methods().Get(m)
				if method.IsStreamingServer() {
					continue
				}
				request := object{}
				for f := range method.Input().Fields().Len() {
					name := method.Input().Fields().Get(f).JSONName()
					if value, ok := fields[name]; ok {
						request[name] = value
					}
				}
				body := must(json.Marshal(request))(t)
				message := must(protoregistry.GlobalTypes.FindMessageByName(method.Input().FullName()))(t).New().Interface()
				if err := (strictJSON{}).Unmarshal(body, message); err != nil {
					t.Fatal(err)
				}
				methods = append(methods, "/"+string(service.FullName())+"/"+string(method.Name()))
				bodies = append(bodies, written{body, must(proto.Marshal(message))(t)})
			}
		}
	}
	return methods, bodies
}

// altered changes some bytes: others, none, twice, none of the rest.
func altered(random *rand.Rand, body []byte) []byte {
	out := append([]byte{}, body...)
	for range random.IntN(4) {
		if len(out) == 0 {
			return out
		}
		at := random.IntN(len(out))
		switch random.IntN(5) {
		case 0:
			out[at] ^= 1 << random.IntN(8)
		case 1:
			out[at] = byte(random.Uint32())
		case 2:
			out = append(out[:at], out[at+1:]...)
		case 3:
			out = append(out[:at:at], out[max(0, at-random.IntN(16)):]...)
		case 4:
			out = out[:at]
		}
	}
	return out
}
