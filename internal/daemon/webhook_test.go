package daemon

import (
	"encoding/base64"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rookery-im/rookery/internal/daemon/token"
)

// Each webhook of an identity gets each of its messages in their order, signed, and
// nothing of anybody else. What both have taken is acknowledged, and does not come again
// after a restart.
func TestEachWebhookGetsEachMessageOfItsIdentity(t *testing.T) {
	h := newHouse(t, quickWebhooks)
	alice, bob, carol := h.resident("alice"), h.resident("bob"), h.resident("carol")
	alice.knows(bob)
	alice.knows(carol)
	alice.send(bob, "before", "")
	one, two, other := newReceiver(t), newReceiver(t), newReceiver(t)
	one.answers(always(http.StatusServiceUnavailable))
	two.answers(always(http.StatusServiceUnavailable))
	bob.hook(one)
	bob.hook(two)
	carol.hook(other)
	one.answers(nil)
	one.has(t, "before")
	alice.send(carol, "for carol", "")
	alice.send(bob, "after", "")
	one.has(t, "before", "after")
	other.has(t, "for carol")
	h.settled(1) // carol's: bob's wait for his second webhook
	two.answers(nil)
	two.has(t, "before", "after")
	h.settled(3)
	for _, e := range one.all() {
		if e.Identity != bob.key || !e.message() || e.Contact != alice.key || !strings.HasPrefix(e.ID, "m-"+alice.key) {
			t.Errorf("got %+v", e)
		}
	}
	h.restart()
	alice.send(bob, "again", "")
	one.has(t, "before", "after", "again")
	two.has(t, "before", "after", "again")
	h.settled(1)
	if log := h.log.String(); strings.Contains(log, "whsec_") || strings.Contains(log, one.url) {
		t.Error("a secret or a URL was logged")
	}
}

// A consumer of the stream beside a webhook sees what waits, and its acknowledgement
// takes nothing from the webhook.
func TestAcknowledgementByAConsumerTakesNothingFromAWebhook(t *testing.T) {
	h := newHouse(t, quickWebhooks)
	alice, bob := h.resident("alice"), h.resident("bob")
	alice.knows(bob)
	to := newReceiver(t)
	to.answers(always(http.StatusServiceUnavailable))
	made := bob.hook(to)
	alice.send(bob, "one", "")
	alice.send(bob, "two", "")
	events := bob.listen("")
	first, second := events.message(), events.message()
	if n := bob.ack(first.ID, first.ID); n != 1 {
		t.Errorf("%d acknowledged", n)
	}
	if e := bob.listen("").message(); e.ID != second.ID {
		t.Errorf("another consumer got %+v", e)
	}
	to.answers(nil)
	to.has(t, "one", "two")
	h.settled(2)
	to.answers(always(http.StatusServiceUnavailable))
	alice.send(bob, "three", "")
	alice.send(bob, "four", "")
	three := events.message()
	four := events.message()
	bob.ack(three.ID)
	h.call(h.admin, "WebhookService/DeleteWebhook", object{"identity": bob.key, "id": made.ID}, nil)
	h.settled(3) // nobody has to have it any more
	if e := bob.listen("").message(); e.ID != four.ID {
		t.Errorf("without the webhook waits %+v", e)
	}
}

// What an endpoint refuses is a dead letter, with its cause, that outlives restarts; what
// comes behind it is delivered. It can be delivered again under its id, and dropped.
func TestDeadLettersAreKeptRedeliveredAndDropped(t *testing.T) {
	h := newHouse(t, quickWebhooks, func(h *house) { h.options.WebhookRefusals = 3 })
	alice, bob := h.resident("alice"), h.resident("bob")
	alice.knows(bob)
	to := newReceiver(t)
	poison := func(e eventSeen) int {
		if strings.HasPrefix(e.text(), "poison") {
			return http.StatusUnprocessableEntity
		}
		return http.StatusOK
	}
	to.answers(poison)
	made := bob.hook(to)
	for _, text := range []string{"one", "poison 1", "two", "poison 2", "poison 3", "three"} {
		alice.send(bob, text, "")
	}
	to.has(t, "one", "two", "three")
	h.settled(6)
	if n := to.attempts(); n != 3+3*3 {
		t.Errorf("%d attempts", n)
	}
	h.restart()
	letters := bob.letters(made.ID)
	if len(letters) != 3 {
		t.Fatalf("got %+v", letters)
	}
	for _, l := range letters {
		if l.Attempts != "3" || l.Cause != "answer 422" || l.Event.Payload != "" || l.Event.Type != "EVENT_TYPE_CONTACT_REQUEST" {
			t.Errorf("got %+v", l)
		}
	}
	var page struct {
		DeadLetters   []letterSeen
		NextPageToken string
	}
	bob.call("WebhookService/ListDeadLetters", object{"id": made.ID, "pageSize": 2}, &page)
	after := page.NextPageToken
	page.NextPageToken = ""
	bob.call("WebhookService/ListDeadLetters", object{"id": made.ID, "pageSize": 2, "pageToken": after}, &page)
	if len(page.DeadLetters) != 1 || page.DeadLetters[0].Event.ID != letters[2].Event.ID || page.NextPageToken != "" {
		t.Errorf("second page %+v", page)
	}
	h.refused("failed_precondition", h.admin, "WebhookService/DeleteWebhook", object{"identity": bob.key, "id": made.ID})
	var done struct {
		Delivered, Untried string
		Failed             []letterSeen
	}
	bob.call("WebhookService/RedeliverDeadLetters", object{"id": made.ID, "eventIds": []string{letters[0].Event.ID}}, &done)
	if len(done.Failed) != 1 || done.Failed[0].Attempts != "4" || done.Delivered != "" {
		t.Errorf("got %+v", done)
	}
	to.answers(always(http.StatusServiceUnavailable))
	bob.call("WebhookService/RedeliverDeadLetters", object{"id": made.ID, "all": true}, &done)
	if len(done.Failed) != 1 || done.Untried != "2" {
		t.Errorf("of one that is away: %+v", done)
	}
	to.answers(nil)
	done.Failed, done.Untried = nil, ""
	bob.call("WebhookService/RedeliverDeadLetters", object{"id": made.ID, "eventIds": []string{letters[0].Event.ID, letters[1].Event.ID, "unknown"}}, &done)
	if done.Delivered != "2" || len(done.Failed) != 0 {
		t.Errorf("got %+v", done)
	}
	to.has(t, "one", "two", "three", "poison 1", "poison 2")
	if last := to.all()[4]; last.ID != letters[1].Event.ID {
		t.Errorf("delivered again as %+v", last)
	}
	var dropped struct{ Dropped string }
	bob.call("WebhookService/DropDeadLetters", object{"id": made.ID, "all": true}, &dropped)
	if dropped.Dropped != "1" || len(bob.letters(made.ID)) != 0 {
		t.Errorf("got %+v", dropped)
	}
	for _, wrong := range []object{{}, {"all": true, "eventIds": []string{"x"}}} {
		wrong["identity"], wrong["id"] = bob.key, made.ID
		h.refused("invalid_argument", bob.token, "WebhookService/DropDeadLetters", wrong)
		h.refused("invalid_argument", bob.token, "WebhookService/RedeliverDeadLetters", wrong)
	}
	h.restart()
	if n := len(bob.letters(made.ID)); n != 0 {
		t.Errorf("%d dead letters after a restart", n)
	}
	h.call(h.admin, "WebhookService/DeleteWebhook", object{"identity": bob.key, "id": made.ID}, nil)
}

// An endpoint that answers 410 is left alone, also after a restart, until it is resumed:
// then it gets everything.
func TestGoneEndpointIsLeftAloneUntilItIsResumed(t *testing.T) {
	h := newHouse(t, quickWebhooks)
	alice, bob := h.resident("alice"), h.resident("bob")
	alice.knows(bob)
	to := newReceiver(t)
	to.answers(always(http.StatusGone))
	made := bob.hook(to)
	alice.send(bob, "one", "")
	alice.send(bob, "two", "")
	eventually(t, "disabled", func() bool { return bob.hooks()[0].Disabled })
	h.restart()
	if got := bob.hooks()[0]; !got.Disabled || got.Cause != "answer 410" {
		t.Errorf("got %+v", got)
	}
	if r := h.daemon.WebhookReading(); r.Disabled != 1 || r.Failing != 0 || r.Delivering != 0 {
		t.Errorf("got %+v", r)
	}
	if n := to.attempts(); n != 1 {
		t.Errorf("%d attempts", n)
	}
	to.answers(nil)
	h.refused("permission_denied", bob.token, "WebhookService/ResumeWebhook", object{"identity": bob.key, "id": made.ID})
	h.call(h.admin, "WebhookService/ResumeWebhook", object{"identity": bob.key, "id": made.ID}, nil)
	h.settled(2)
	if got := to.texts(); len(got) != 2 || got[0] == got[1] { // a restart may change their order
		t.Errorf("delivered %q", got)
	}
	if got := bob.hooks()[0]; got.Disabled || got.Cause != "" {
		t.Errorf("got %+v", got)
	}
}

// An endpoint that does not answer holds up its own webhook and nothing else, neither
// another identity nor another webhook of the same; nor the end of the daemon for longer
// than one attempt.
func TestSlowEndpointHoldsUpItsWebhookAlone(t *testing.T) {
	h := newHouse(t, quickWebhooks)
	alice, bob, carol := h.resident("alice"), h.resident("bob"), h.resident("carol")
	alice.knows(bob)
	alice.knows(carol)
	slow, quick, others := newReceiver(t), newReceiver(t), newReceiver(t)
	asked, release := make(chan struct{}, 1), make(chan struct{})
	slow.answers(func(eventSeen) int {
		asked <- struct{}{}
		<-release
		return http.StatusOK
	})
	bob.hook(slow)
	bob.hook(quick)
	carol.hook(others)
	alice.send(bob, "one", "")
	<-asked
	var want []string
	for n := range 20 {
		alice.send(carol, fmt.Sprint(n), "")
		want = append(want, fmt.Sprint(n))
	}
	others.has(t, want...)
	quick.has(t, "one")
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		h.stop()
		h.stop = nil
		if err := <-h.served; err != nil {
			t.Error(err)
		}
	}()
	eventually(t, "shutting down", func() bool {
		select {
		case <-h.daemon.stopping:
			return true
		default:
			return false
		}
	})
	close(release) // the attempt that is under way ends well
	<-ended
	if err := h.hosting.Close(t.Context()); err != nil {
		t.Error(err)
	}
	slow.answers(nil)
	h.start()
	alice.send(bob, "two", "")
	slow.has(t, "one", "two") // it was acknowledged while the daemon ended
}

// An endpoint that fails at random, and a daemon that is started again and again, lose
// nothing, give each message one id, and alter no order but by repetition.
func TestWebhookLosesNothingOverFailuresAndRestarts(t *testing.T) {
	const total, restarts = 60, 6
	h := newHouse(t, quickWebhooks, func(h *house) { h.options.WebhookRefusals = 1 << 30 })
	alice, bob, carol := h.resident("alice"), h.resident("bob"), h.resident("carol")
	alice.knows(bob)
	alice.knows(carol)
	random := rand.New(rand.NewPCG(*seed, 2))
	var draws atomic.Uint64
	draws.Store(random.Uint64())
	fails := func(eventSeen) int {
		switch (draws.Add(0x9e3779b97f4a7c15) >> 40) % 4 {
		case 0:
			return http.StatusOK
		case 1:
			return http.StatusInternalServerError
		case 2:
			return http.StatusServiceUnavailable
		}
		panic(http.ErrAbortHandler) // no answer at all
	}
	to, other := newReceiver(t), newReceiver(t)
	to.answers(fails)
	bob.hook(to)
	carol.hook(other)
	for life := range restarts {
		for n := range total / restarts {
			alice.send(bob, fmt.Sprint(life*total/restarts+n), "")
		}
		alice.send(carol, fmt.Sprint("c", life), "")
		before := to.attempts()
		eventually(t, "some attempts", func() bool { return to.attempts() > before+random.IntN(20) || len(to.all()) >= (life+1)*total/restarts })
		h.restart()
	}
	to.answers(nil)
	ids, texts := make(map[string]string), make(map[string]string)
	eventually(t, "all", func() bool {
		for _, e := range to.all() {
			texts[e.text()] = e.ID
		}
		return len(texts) == total
	})
	for _, e := range to.all() {
		if e.Identity != bob.key || texts[e.text()] != e.ID || ids[e.ID] != "" && ids[e.ID] != e.text() {
			t.Errorf("%q has ids %s and %s", e.text(), e.ID, texts[e.text()])
		}
		ids[e.ID] = e.text()
	}
	for _, e := range other.all() {
		if e.Identity != carol.key {
			t.Errorf("carol's webhook got %+v", e)
		}
	}
	t.Logf("%d messages in %d attempts; repeat: -seed %d", total, to.attempts(), *seed)
}

func TestWebhooksAreForTheAdministratorAndBounded(t *testing.T) {
	h := newHouse(t, func(h *house) { h.options.MaxWebhooks = maxPerIdentity + 1 })
	alice, bob := h.resident("alice"), h.resident("bob")
	create := func(of *resident, url string) object { return object{"identity": of.key, "url": url} }
	good := "https://hooks.example.org/x"
	h.refused("permission_denied", alice.token, "WebhookService/CreateWebhook", create(alice, good))
	for _, url := range []string{"", "http://hooks.example.org/", "https://10.0.0.1/", "https://169.254.169.254/", "https://u:p@hooks.example.org/", "https://" + strings.Repeat("x", 2048), "ftp://x"} {
		h.refused("invalid_argument", h.admin, "WebhookService/CreateWebhook", create(alice, url))
	}
	h.refused("not_found", h.admin, "WebhookService/CreateWebhook", object{"identity": "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798", "url": good})
	var made struct{ Webhook hookSeen }
	for range maxPerIdentity {
		h.call(h.admin, "WebhookService/CreateWebhook", create(alice, good), &made)
	}
	h.refused("failed_precondition", h.admin, "WebhookService/CreateWebhook", create(alice, good))
	h.call(h.admin, "WebhookService/CreateWebhook", create(bob, good), nil)
	if n := len(alice.hooks()); n != maxPerIdentity {
		t.Errorf("%d webhooks", n)
	}
	var all struct{ Webhooks []hookSeen }
	h.call(h.admin, "WebhookService/ListWebhooks", object{}, &all)
	if len(all.Webhooks) != maxPerIdentity+1 {
		t.Errorf("%d webhooks", len(all.Webhooks))
	}
	h.refused("permission_denied", alice.token, "WebhookService/ListWebhooks", object{})
	h.refused("permission_denied", bob.token, "WebhookService/ListDeadLetters", object{"identity": alice.key, "id": made.Webhook.ID})
	for method, request := range map[string]object{"ListDeadLetters": {}, "RedeliverDeadLetters": {"all": true}, "DropDeadLetters": {"all": true}} {
		request["identity"], request["id"] = bob.key, made.Webhook.ID // that of another identity
		h.refused("not_found", bob.token, "WebhookService/"+method, request)
	}
}

// The webhooks of an identity end with it, and nothing is kept of them.
func TestDeletedIdentityTakesItsWebhooksAlong(t *testing.T) {
	h := newHouse(t, quickWebhooks, func(h *house) { h.options.WebhookRefusals = 1 })
	alice, bob := h.resident("alice"), h.resident("bob")
	alice.knows(bob)
	to := newReceiver(t)
	to.answers(always(http.StatusBadRequest))
	made := bob.hook(to)
	alice.send(bob, "one", "")
	eventually(t, "a dead letter", func() bool { return len(bob.letters(made.ID)) == 1 })
	var got struct{ Identity struct{ Installation string } }
	bob.call("IdentityService/GetIdentity", object{}, &got)
	h.call(h.admin, "IdentityService/DeleteIdentity", object{"identity": bob.key, "installation": got.Identity.Installation}, nil)
	for _, collection := range []string{webhooksCollection, lettersCollection(made.ID)} {
		for r, err := range h.hosting.Kept(t.Context(), collection) {
			t.Errorf("%v is kept, %v", r, err)
		}
	}
	h.restart()
	alice.call("IdentityService/GetIdentity", object{}, nil)
}

// The secret of a webhook is shown once, and lies nowhere in the clear.
func TestSecretOfAWebhookIsSealed(t *testing.T) {
	h := newHouse(t)
	alice := h.resident("alice")
	var made struct{ Secret string }
	h.call(h.admin, "WebhookService/CreateWebhook", object{"identity": alice.key, "url": "https://hooks.example.org/very-secret"}, &made)
	status, body := h.ask(h.admin, "WebhookService/ListWebhooks", object{})
	if status != http.StatusOK || strings.Contains(string(body), made.Secret) {
		t.Errorf("listed as %d %s", status, body)
	}
	h.end()
	key := string(must(base64.StdEncoding.DecodeString(made.Secret[len("whsec_"):]))(t))
	err := filepath.WalkDir(h.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		for _, secret := range []string{made.Secret, made.Secret[len("whsec_"):], key, "very-secret"} {
			if strings.Contains(string(content), secret) {
				t.Errorf("%s has it in the clear", path)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if strings.Contains(h.log.String(), made.Secret) || strings.Contains(h.log.String(), "very-secret") {
		t.Error("it was logged")
	}
	h.start()
}

// A token of one identity sees the webhooks of that one, and does with dead letters what
// it could do with the events.
func TestTokenOfAnIdentityIsNotForWebhooksOfOthers(t *testing.T) {
	h := newHouse(t)
	alice, bob := h.resident("alice"), h.resident("bob")
	h.call(h.admin, "WebhookService/CreateWebhook", object{"identity": alice.key, "url": "https://hooks.example.org"}, nil)
	if got := bob.hooks(); len(got) != 0 {
		t.Errorf("bob sees %+v", got)
	}
	if got := alice.hooks(); len(got) != 1 || got[0].Identity != alice.key {
		t.Errorf("alice sees %+v", got)
	}
	expired := h.token(token.Token{Identity: alice.key, Expires: h.daemon.options.Now().Add(-1)})
	h.refused("unauthenticated", expired, "WebhookService/ListWebhooks", object{"identity": alice.key})
}
