package rookery_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/cause"
	"github.com/rookery-im/rookery/persistence"
	memstore "github.com/rookery-im/rookery/persistence/memory"
	"github.com/rookery-im/rookery/transport"
	carriers "github.com/rookery-im/rookery/transport/carrier/memory"
)

// meter is who asks an engine for its measurements.
type meter struct {
	t        testing.TB
	reader   *sdk.ManualReader
	provider *sdk.MeterProvider
}

func newMeter(t testing.TB) *meter {
	reader := sdk.NewManualReader()
	m := &meter{t: t, reader: reader, provider: sdk.NewMeterProvider(sdk.WithReader(reader))}
	t.Cleanup(func() {
		if err := m.provider.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return m
}

func (m *meter) configure(o *rookery.Options) { o.MeterProvider = m.provider }

func (m *meter) collect() metricdata.ResourceMetrics {
	m.t.Helper()
	var all metricdata.ResourceMetrics
	if err := m.reader.Collect(context.Background(), &all); err != nil {
		m.t.Fatal(err)
	}
	return all
}

// numbers are all measurements under names such as "rookery.actors{actor=contact}";
// of a histogram it is how many it holds, and under the name with "/sum" their sum.
func (m *meter) numbers() map[string]float64 {
	m.t.Helper()
	all := make(map[string]float64)
	for _, scope := range m.collect().ScopeMetrics {
		for _, measured := range scope.Metrics {
			switch data := measured.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					all[measured.Name+labels(p.Attributes.ToSlice())] = float64(p.Value)
				}
			case metricdata.Gauge[int64]:
				for _, p := range data.DataPoints {
					all[measured.Name+labels(p.Attributes.ToSlice())] = float64(p.Value)
				}
			case metricdata.Histogram[int64]:
				for _, p := range data.DataPoints {
					all[measured.Name+labels(p.Attributes.ToSlice())] = float64(p.Count)
					all[measured.Name+labels(p.Attributes.ToSlice())+"/sum"] = float64(p.Sum)
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					all[measured.Name+labels(p.Attributes.ToSlice())] = float64(p.Count)
					all[measured.Name+labels(p.Attributes.ToSlice())+"/sum"] = p.Sum
				}
			default:
				m.t.Errorf("%s is a %T", measured.Name, data)
			}
		}
	}
	return all
}

func (m *meter) wants(want map[string]float64) {
	m.t.Helper()
	got := m.numbers()
	for name, n := range want {
		if have, there := got[name]; !there || have != n {
			m.t.Errorf("%s is %v (there: %v), want %v", name, have, there, n)
		}
	}
}

// awaits polls until a number is there.
func (m *meter) awaits(name string, want float64) {
	m.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		n := m.numbers()[name]
		if n == want {
			return
		}
		if time.Now().After(deadline) {
			m.t.Fatalf("%s is %v after %v, want %v", name, n, patience, want)
		}
	}
}

// talked is a world with two people on two devices each, of whom each side has sent
// as many messages as are returned, all delivered, acknowledged and settled.
func talked(t *testing.T, m *meter, b backend) (w *world, alice, bob []device, each int) {
	t.Helper()
	w = newWorld(t, b, m.configure)
	alice, bob = w.person(2), w.person(2)
	w.introduceAll(alice, bob)
	w.introduceAll(bob, alice)
	w.introduce(w.at(alice[0]), w.at(bob[1]))
	w.introduce(w.at(bob[0]), w.at(alice[1]))
	each = 10
	for n := 1; n <= each; n++ {
		w.send(alice[0], bob[0].key, fmt.Sprint("to bob ", n))
		w.awaitMessages(n, bob...)
		w.send(bob[0], alice[0].key, fmt.Sprint("to alice ", n))
	}
	w.awaitMessages(each, alice...)
	return w, alice, bob, each
}

func TestMetricsCountWhatWasSentAndReceived(t *testing.T) {
	m := newMeter(t)
	w := newWorld(t, backends[1], m.configure)
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(alice), w.at(bob))
	for n := range 10 {
		w.send(alice, bob.key, "to bob")
		w.awaitMessages(n+1, bob)
		w.send(bob, alice.key, "to alice")
		w.awaitMessages(n+1, alice)
	}
	m.awaits("rookery.messages.acknowledged", 20)
	m.awaits("rookery.messages.in_flight", 0)
	m.awaits("rookery.publications.taken", 20)
	m.awaits("rookery.store.queued", 0)
	counts := w.engine.Counts()
	m.wants(map[string]float64{
		"rookery.messages.sent": 20, "rookery.messages.received": 20, "rookery.messages.copies": 0, "rookery.messages.unsent": 0,
		"rookery.publications.refused": 0, "rookery.events.waiting": 0,
		"rookery.sessions.started": float64(counts.SessionsStarted), "rookery.ratchet.steps": float64(counts.RatchetSteps),
		"rookery.identities": 2, "rookery.identities.awake": 2, "rookery.identities.wakes": 2, "rookery.identities.sleeps": 0,
		"rookery.actors{actor=identity}": 2, "rookery.actors{actor=bundle}": 2, "rookery.actors{actor=sweeper}": 1,
		"rookery.actors.quarantined": 0,
		// Every one of the first 1,024 messages of each way is timed.
		"rookery.message.stage.duration{direction=send,stage=queue}":     20,
		"rookery.message.stage.duration{direction=send,stage=crypto}":    20,
		"rookery.message.stage.duration{direction=send,stage=commit}":    20,
		"rookery.message.stage.duration{direction=send,stage=publish}":   20,
		"rookery.message.stage.duration{direction=receive,stage=queue}":  20,
		"rookery.message.stage.duration{direction=receive,stage=crypto}": 20,
		"rookery.message.stage.duration{direction=receive,stage=commit}": 20,
	})
	if counts.SessionsStarted == 0 || counts.RatchetSteps == 0 {
		t.Errorf("%+v", counts)
	}
	got := m.numbers()
	for _, name := range []string{"rookery.actors{actor=contact}", "rookery.actors{actor=session}", "rookery.actors{actor=inbox}"} {
		if got[name] < 2 {
			t.Errorf("%s is %v, want 2 at least", name, got[name])
		}
	}
	for name, n := range got {
		if strings.HasSuffix(name, "/sum") && n <= 0 {
			t.Errorf("%s is %v", name, n)
		}
	}
}

// What is added up in batches is what the histograms of batches hold.
func TestMetricsOfBatchesAddUp(t *testing.T) {
	m := newMeter(t)
	w, _, _, _ := talked(t, m, backends[1])
	settle(t, w.look())
	m.awaits("rookery.store.queued", 0)
	eventually(t, "equal sums", func() bool {
		got := m.numbers() // acknowledgements may still come, in between of two readings
		return got["rookery.store.batches"] > 0 &&
			got["rookery.store.batch.duration"] == got["rookery.store.batches"] &&
			got["rookery.store.batch.commits/sum"] == got["rookery.store.commits"] &&
			got["rookery.store.batch.records/sum"] == got["rookery.store.records"]
	})
	m.awaits("rookery.messages.copies", 20)
}

func TestMetricsCountRefusalsByTheirCauses(t *testing.T) {
	m := newMeter(t)
	w, alice, bob, _ := pairWorldMeasured(t, m)
	sent := w.air.history()
	refused := func(cause string) string { return "rookery.messages.refused{cause=" + cause + "}" }

	w.air.Network.Publish(envelopeTo(bob, alice.key, []byte("garbage")), func(error) {})
	m.awaits(refused("malformed"), 1)
	w.air.Network.Publish(envelopeTo(bob, offCurve, sent[0].Payload), func(error) {})
	m.awaits(refused("public_key"), 1)
	before := m.numbers()
	w.air.deliver([]transport.Envelope{sent[0]}) // as it came before
	eventually(t, "refusal of a repeated message", func() bool {
		got := m.numbers()
		return got[refused("duplicate")]+got[refused("unknown_ratchet_key")]+got[refused("cloned")] ==
			before[refused("duplicate")]+before[refused("unknown_ratchet_key")]+before[refused("cloned")]+1
	})
	if total, n := w.engine.Counts().Refused, sumOf(m.numbers(), "rookery.messages.refused{"); float64(total) != n {
		t.Errorf("%d are counted, %v under causes", total, n)
	}

	ctx := w.context()
	ended, end := context.WithCancel(ctx)
	end()
	for _, send := range []func() error{
		func() error { _, err := w.at(alice).Send(ctx, bob.key, nil); return err },
		func() error { _, err := w.at(alice).Send(ctx, offCurve, []byte("x")); return err },
		func() error { _, err := w.at(alice).Send(ctx, alice.key, []byte("x")); return err },
		func() error { _, err := w.at(alice).Send(ended, bob.key, []byte("x")); return err },
	} {
		if send() == nil {
			t.Error("sent")
		}
	}
	m.wants(map[string]float64{
		"rookery.sends.refused{cause=payload_size}": 1,
		"rookery.sends.refused{cause=public_key}":   1,
		"rookery.sends.refused{cause=no_target}":    1,
		"rookery.sends.refused{cause=other}":        0, // who gives up is not refused
	})
}

func pairWorldMeasured(t *testing.T, m *meter) (w *world, alice, bob device, store persistence.Store) {
	t.Helper()
	store = lasting{memstore.New()}
	w = newWorld(t, on(store), m.configure)
	alice, bob = w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(alice), w.at(bob))
	w.introduce(w.at(bob), w.at(alice))
	w.send(alice, bob.key, "hello")
	w.awaitMessages(1, bob)
	w.send(bob, alice.key, "hello yourself")
	w.awaitMessages(1, alice)
	settle(t, store)
	return w, alice, bob, store
}

func sumOf(numbers map[string]float64, prefix string) (sum float64) {
	for name, n := range numbers {
		if strings.HasPrefix(name, prefix) {
			sum += n
		}
	}
	return sum
}

func TestMetricsCountOverloadsByTheirLimits(t *testing.T) {
	const bound, more = 2, 5
	for limit, configure := range map[string]func(*rookery.Options){
		"contact": func(o *rookery.Options) { o.MaxInFlightPerContact = bound },
		"all":     func(o *rookery.Options) { o.MaxInFlight = bound },
	} {
		t.Run(limit, func(t *testing.T) {
			m, store := newMeter(t), newStalling()
			w := newWorld(t, on(store), m.configure, configure)
			alice, bob := w.person(1)[0], w.person(1)[0]
			w.introduce(w.at(alice), w.at(bob))
			open := store.shut()
			defer open()
			var sending sync.WaitGroup
			for range bound {
				sending.Go(func() { _, _ = w.at(alice).Send(w.context(), bob.key, []byte("x")) })
			}
			m.awaits("rookery.messages.in_flight", bound)
			for range more {
				_, err := w.at(alice).Send(w.context(), bob.key, []byte("x"))
				wantError(t, err, cause.ErrOverloaded)
			}
			m.wants(map[string]float64{
				"rookery.overloads{limit=" + limit + "}":  more,
				"rookery.sends.refused{cause=overloaded}": more,
			})
			if n := sumOf(m.numbers(), "rookery.overloads{"); n != more {
				t.Errorf("%v overloads in all", n)
			}
			open()
			sending.Wait()
		})
	}
}

// The outbox of one contact is full of what the transport refuses.
func TestMetricsCountFullOutboxes(t *testing.T) {
	const most = 4096
	m := newMeter(t)
	w := newWorld(t, on(lasting{memstore.New()}), m.configure)
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(alice), w.at(bob))
	w.air.refuseFrom(alice.key)
	var sending sync.WaitGroup
	for range 64 {
		sending.Go(func() {
			for range most / 64 {
				if _, err := w.at(alice).Send(w.context(), bob.key, []byte("x")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	sending.Wait()
	_, err := w.at(alice).Send(w.context(), bob.key, []byte("x"))
	wantError(t, err, cause.ErrOverloaded)
	m.wants(map[string]float64{"rookery.overloads{limit=outbox}": 1, "rookery.sends.refused{cause=overloaded}": 1, "rookery.messages.sent": most})
	m.awaits("rookery.publications.refused", most)
	// After the first 1,024 of a way one in eight is timed.
	m.awaits("rookery.message.stage.duration{direction=send,stage=crypto}", 1024+(most-1024)/8)
}

func TestMetricsShowEventsThatWaitForTheHandler(t *testing.T) {
	const bound = 3
	m, entered, leave := newMeter(t), make(chan struct{}, 100), make(chan struct{})
	w := newWorld(t, on(lasting{memstore.New()}), m.configure, func(o *rookery.Options) {
		o.MaxUnhandled = bound
		o.Handler = func(e rookery.Event) {
			if _, ok := e.(rookery.Message); ok {
				entered <- struct{}{}
				<-leave
			}
		}
	})
	release := sync.OnceFunc(func() { close(leave) })
	defer release()
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(alice), w.at(bob))
	w.send(alice, bob.key, "the handler is at this one")
	<-entered
	for n := 0; m.numbers()["rookery.overloads{limit=events}"] == 0; n++ {
		if n > 100 {
			t.Fatal("never refused")
		}
		w.send(alice, bob.key, "and this one waits")
		m.awaits("rookery.messages.in_flight", 0)
	}
	if n := m.numbers()["rookery.events.waiting"]; n <= bound {
		t.Errorf("%v events wait", n)
	}
	release()
	m.awaits("rookery.events.waiting", 0)
}

func TestMetricsShowWhoSleeps(t *testing.T) {
	m := newMeter(t)
	w := newWorld(t, backends[1], m.configure)
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(alice), w.at(bob))
	w.send(alice, bob.key, "before the night")
	w.awaitMessages(1, bob)
	w.asleep(alice, bob)
	m.awaits("rookery.identities.awake", 0)
	m.awaits("rookery.identities.sleeps", float64(w.engine.Counts().Wakes)) // whoever woke has gone to sleep
	m.wants(map[string]float64{"rookery.identities": 2})
	slept := m.numbers()["rookery.identities.sleeps"]
	w.send(alice, bob.key, "in the morning")
	w.awaitMessages(2, bob)
	m.wants(map[string]float64{
		"rookery.identities.awake": 2, "rookery.identities.wakes": slept + 2, "rookery.identities.sleeps": slept,
	})
}

func TestMetricsShowTheNetworkThatTakesNothing(t *testing.T) {
	m := newMeter(t)
	w := newWorld(t, on(lasting{memstore.New()}), m.configure, func(o *rookery.Options) { o.KeepUnsent = time.Hour })
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(alice), w.at(bob))
	w.air.refuseFrom(alice.key)
	w.send(alice, bob.key, "never")
	m.awaits("rookery.publications.refused", 1)
	w.pass(2 * time.Hour)
	w.sweepUntil("the end of the message", func() bool { return m.numbers()["rookery.messages.unsent"] == 1 })
	m.wants(map[string]float64{
		"rookery.messages.sent": 1, "rookery.publications.taken": 0,
		"rookery.message.stage.duration{direction=send,stage=commit}": 1,
	})
	if _, there := m.numbers()["rookery.message.stage.duration{direction=send,stage=publish}"]; there {
		t.Error("what was not taken has a time until it was")
	}
}

func TestMetricsCountPanics(t *testing.T) {
	m, store := newMeter(t), lasting{memstore.New()}
	w := newWorld(t, on(store), m.configure, func(o *rookery.Options) {
		o.Handler = func(e rookery.Event) {
			if _, ok := e.(rookery.Message); ok {
				panic("the application has a bug")
			}
		}
	})
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(alice), w.at(bob))
	w.send(alice, bob.key, "this one")
	m.awaits("rookery.actors.quarantined", 1)
}

func TestMetricsOfTheStoreFollowItsEpochs(t *testing.T) {
	m := newMeter(t)
	dir := filepath.Join(t.TempDir(), "store")
	w := newWorld(t, inDirectory(dir), m.configure, func(o *rookery.Options) { o.ForgetWithin = -1 })
	m.wants(map[string]float64{"rookery.store.rolled_back": 0, "rookery.store.unsettled": 0})
	if n := m.numbers()["rookery.store.epochs"]; n < 1 {
		t.Errorf("%v epochs", n)
	}
	w.person(1)
	w.pass(90 * time.Minute)
	if age := m.numbers()["rookery.store.epoch.age"]; age < 90*60 || age > 90*60+60 {
		t.Errorf("the oldest epoch is %v s old", age)
	}
	got := m.numbers()
	if got["rookery.store.disk"] <= got["rookery.store.log"] || got["rookery.store.log"] <= 0 {
		t.Errorf("%v bytes on disk, %v of them log", got["rookery.store.disk"], got["rookery.store.log"])
	}
}

func TestMetricsOfANetwork(t *testing.T) {
	m, got := newMeter(t), make(chan rookery.Message, 1)
	network := carriers.New(carriers.Options{Seed: 1})
	alice := onNetwork(t, network, nil)
	engine, err := rookery.Open(t.Context(), rookery.Options{
		Store: memstore.New(), Carrier: network.Open(), MeterProvider: m.provider,
		Handler: func(e rookery.Event) {
			if message, ok := e.(rookery.Message); ok {
				got <- message
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := engine.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	bob, err := engine.CreateIdentity(t.Context(), rookery.NewIdentity{})
	if err != nil {
		t.Fatal(err)
	}
	before := m.numbers()["rookery.network.envelopes{outcome=delivered}"]
	if _, err := alice.Send(t.Context(), bob.PublicKey(), []byte("hello")); err != nil {
		t.Fatal(err)
	}
	<-got
	eventually(t, "a delivered envelope", func() bool {
		return m.numbers()["rookery.network.envelopes{outcome=delivered}"] > before
	})
	m.awaits("rookery.network.ready", 1)
	m.awaits("rookery.network.fetching", 0)
}

// Labels and their values are of a fixed set, and nothing that is measured tells who
// is hosted or what is said.
func TestMetricsNameNobody(t *testing.T) {
	m := newMeter(t)
	w := newWorld(t, backends[0], m.configure)
	const secretText, name = "what-nobody-else-may-read", "name-of-one-on-this-host"
	named, err := w.engine.CreateIdentity(w.context(), rookery.NewIdentity{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	all := []device{{named.PublicKey(), named.InstallationID()}}
	for range 40 {
		all = append(all, w.person(1)[0])
	}
	for n, d := range all {
		next := all[(n+1)%len(all)]
		w.introduce(w.at(d), w.at(next))
		w.send(d, next.key, secretText)
		w.air.Network.Publish(envelopeTo(next, d.key, []byte("garbage")), func(error) {})
	}
	w.awaitMessages(1, all...)
	m.awaits("rookery.messages.refused{cause=malformed}", float64(len(all)))

	exported := m.collect()
	text, err := json.Marshal(exported)
	if err != nil {
		t.Fatal(err)
	}
	for _, scope := range exported.ScopeMetrics {
		text = fmt.Appendf(text, "%+v", scope)
	}
	whole := strings.ToLower(string(text))
	if !strings.Contains(whole, "untrusted_bundle") {
		t.Fatal("the text holds no labels")
	}
	for _, d := range all {
		owner := persistence.NewOwnerID(d.key[:], d.installation)
		for _, bytes := range [][]byte{d.key[:], d.key[1:], owner[:]} {
			for _, encode := range []func([]byte) string{hex.EncodeToString, base64.StdEncoding.EncodeToString, base64.URLEncoding.EncodeToString} {
				if strings.Contains(whole, strings.ToLower(encode(bytes))[:16]) {
					t.Fatalf("%v shows", d)
				}
			}
		}
		for _, word := range []string{d.installation, name, secretText} {
			if strings.Contains(whole, word) {
				t.Fatalf("%s shows", word)
			}
		}
	}
	values := make(map[string][]string)
	for series := range m.numbers() {
		_, in, labelled := strings.Cut(strings.TrimSuffix(series, "/sum"), "{")
		if !labelled {
			continue
		}
		for _, pair := range strings.Split(strings.TrimSuffix(in, "}"), ",") {
			label, value, _ := strings.Cut(pair, "=")
			if !slices.Contains(values[label], value) {
				values[label] = append(values[label], value)
			}
		}
	}
	for label, got := range values {
		slices.Sort(got)
		if want := metricLabels[label]; !slices.Equal(got, slices.Sorted(slices.Values(want))) {
			t.Errorf("values of label %s:\n got %q\nwant %q", label, got, want)
		}
	}
}

// metricLabels are all labels of an engine without a network, with all their values.
var metricLabels = map[string][]string{
	"actor":     {"bundle", "contact", "identity", "inbox", "session", "sweeper"},
	"direction": {"send", "receive"},
	"limit":     {"all", "contact", "outbox", "waking", "events"},
	"stage":     {"queue", "crypto", "commit", "publish"},
	"cause": {
		"malformed", "payload_size", "quarantined", "overloaded", "store_full", "not_durable", "stopped", "unavailable",
		"cloned", "duplicate", "replayed", "unknown_ratchet_key", "too_many_skipped", "no_session", "unknown_prekey",
		"too_many_sessions", "headers", "forged", "public_key", "untrusted_bundle", "not_targeted", "denied", "blocked",
		"not_approved", "unsupported", "too_many_installations", "stale_prekey", "no_target", "retired", "other",
	},
}

func labels(attributes []attribute.KeyValue) string {
	if len(attributes) == 0 {
		return ""
	}
	var all []string
	for _, a := range attributes {
		all = append(all, string(a.Key)+"="+a.Value.AsString())
	}
	slices.Sort(all)
	return "{" + strings.Join(all, ",") + "}"
}
