package daemon

import (
	"bytes"
	"flag"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rookery-im/rookery/internal/browsertest"
	"github.com/rookery-im/rookery/internal/qrcode"
)

var rewrite = flag.Bool("rewrite", false, "write the pictures of the console in docs anew")

// console opens the console of a daemon. At the end nobody else was asked for anything,
// and nothing went wrong in the page.
func (h *house) console() (*browsertest.Page, bool) {
	h.t.Helper()
	browser, ok := browsertest.New(h.t, strings.TrimPrefix(h.address, "http://"))
	if !ok {
		return nil, false
	}
	page := browser.Open()
	h.t.Cleanup(func() {
		if n := browser.Refused(); n != 0 {
			h.t.Errorf("others were asked %d times", n)
		}
		for _, said := range page.Said() {
			// The browser has a line for each answer that is an error; the page asks
			// whether the token is the administrator's.
			if !strings.Contains(said, "status of 403") && !strings.Contains(said, "status of 401") {
				h.t.Errorf("the page said %s", said)
			}
		}
	})
	page.Go(h.address + "/")
	return page, true
}

// logIn writes a token where the focus is from the beginning.
func logIn(page *browsertest.Page, token string) {
	page.Await(`document.activeElement.id === "token"`)
	page.Write(token)
	page.Press("Enter")
}

func shows(text string) string {
	return `document.body.innerText.includes(` + quoted(text) + `)`
}

func quoted(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(text) + `"`
}

// With nothing but keys somebody logs in, finds the device that waits, and approves it.
func TestConsoleApprovesADeviceByKeyboardAlone(t *testing.T) {
	h := newHouse(t)
	first, second := h.twice("alice")
	_, installation, _ := strings.Cut(first, "/")
	_, id, _ := strings.Cut(second, "/")
	page, ok := h.console()
	if !ok {
		return
	}
	logIn(page, h.admin)
	page.Await(`document.querySelectorAll(".choices li").length === 2`)
	page.TabTo(`focus.closest(".choices") && focus.innerText.includes(` + quoted(installation[:8]) + `)`) // the one that knows the other
	page.Press("Enter")
	page.Await(shows(installation))
	page.Await(shows("waits for approval") + ` && document.activeElement.innerText.endsWith("1 device waits")`)
	page.TabTo(`focus.getAttribute("aria-label") === ` + quoted("Approve device "+id))
	page.Press(" ")
	page.Await(`document.getElementById("said").innerText === ` + quoted("Device "+id+" is approved."))
	page.Await(`document.activeElement.innerText === "Own devices" && document.querySelector(".devices .state").innerText === "approved"`)
	page.Await(`!document.querySelector(".choices [aria-current=true]").innerText.includes("waits")`)
	var got struct{ Devices []deviceSeen }
	h.call(h.admin, "ContactService/ListDevices", object{"identity": first}, &got)
	if len(got.Devices) != 1 || !got.Devices[0].Enabled {
		t.Errorf("got %+v", got)
	}
	page.TabTo(`focus.getAttribute("aria-label") === ` + quoted("Deny device "+id))
	page.Press("Enter")
	page.Await(`document.querySelector(".devices .state").innerText === "denied"`)
	page.TabTo(`focus.id === "log-out"`)
	page.Press("Enter")
	page.Await(`document.activeElement.id === "token" && document.querySelectorAll(".devices").length === 0`)
}

// With nothing but keys somebody accepts a contact that asks, blocks it, ends that and
// forgets it. Each is asked about first, but for the one that takes nothing away; who says
// no has changed nothing and is where he was.
func TestConsoleDecidesAboutAContactByKeyboardAlone(t *testing.T) {
	h := newHouse(t)
	alice, bob := h.resident("alice"), h.resident("bob")
	alice.knows(bob)
	alice.send(bob, "hello", "")
	bob.listen("").message()
	page, ok := h.console()
	if !ok {
		return
	}
	is := func(standing string, blocked bool) {
		t.Helper()
		var got struct {
			Contact struct {
				Standing string
				Blocked  bool
			}
		}
		bob.call("ContactService/GetContact", object{"contact": alice.key}, &got)
		if got.Contact.Standing != standing || got.Contact.Blocked != blocked {
			t.Errorf("got %+v, want %s, blocked %t", got, standing, blocked)
		}
	}
	name := alice.key[:8] + "…" + alice.key[len(alice.key)-4:]
	pressed := func(what string) {
		t.Helper()
		page.TabTo(`focus.getAttribute("aria-label") === ` + quoted(what+" contact "+name))
		page.Press("Enter")
	}
	asked := func(what string) {
		t.Helper()
		page.Await(`document.activeElement.innerText === "Cancel" && document.activeElement.closest("dialog:modal")?.getAttribute("role") === "alertdialog"`)
		page.Await(`document.querySelector("dialog h2").innerText === ` + quoted(what+" "+name+"?"))
		h.named(page)
	}
	said := func(text string) {
		t.Helper()
		page.Await(`document.getElementById("said").innerText === ` + quoted(text) + ` && !document.querySelector("dialog")`)
	}
	logIn(page, bob.token)
	page.TabTo(`focus.matches(".contacts summary") && focus.innerText.includes("requested")`)
	page.Press("Enter")
	for _, no := range []func(){
		func() { page.Press("Escape") },
		func() { page.Press("Enter") }, // where the focus is
	} {
		pressed("Accept")
		asked("Accept")
		no()
		page.Await(`!document.querySelector("dialog") && document.activeElement.innerText === "Accept"`)
		is("STANDING_REQUESTED", false)
	}
	for _, decision := range []struct {
		what, done, shown, standing string
		asks, blocked               bool
	}{
		{"Accept", "accepted", "accepted", "STANDING_ACCEPTED", true, false},
		{"Block", "blocked", "accepted, blocked", "STANDING_ACCEPTED", true, true},
		{"Unblock", "unblocked", "accepted", "STANDING_ACCEPTED", false, false},
	} {
		pressed(decision.what)
		if decision.asks {
			asked(decision.what)
			page.TabTo(`focus.innerText === ` + quoted(decision.what) + ` && focus.closest("dialog")`)
			page.Press(" ")
		}
		said("Contact " + name + " is " + decision.done + ".")
		page.Await(`document.querySelector(".contacts .state").innerText === ` + quoted(decision.shown) + ` && document.activeElement.matches(".contacts summary")`)
		is(decision.standing, decision.blocked)
	}
	var shown []string
	if page.Look(`[...document.querySelectorAll(".contacts .actions button")].filter(n => n.checkVisibility() && n.innerText !== "Approve" && n.innerText !== "Deny").map(n => n.innerText)`, &shown); strings.Join(shown, " ") != "Block Forget" {
		t.Errorf("of one that is accepted and not blocked can be decided %v", shown)
	}
	pressed("Forget")
	asked("Forget")
	page.TabTo(`focus.innerText === "Forget" && focus.closest("dialog")`)
	page.Press("Enter")
	said("Contact " + name + " is forgotten.")
	page.Await(`document.querySelectorAll(".contacts li").length === 0 && document.activeElement.innerText === "Contacts"`)
	h.refused("not_found", bob.token, "ContactService/GetContact", object{"identity": bob.key, "contact": alice.key})
}

// A question that is open when the token ends goes with all that is shown.
func TestConsoleAsksNobodyWhoIsLoggedOut(t *testing.T) {
	h := newHouse(t)
	alice, bob := h.resident("alice"), h.resident("bob")
	alice.knows(bob)
	page, ok := h.console()
	if !ok {
		return
	}
	logIn(page, alice.token)
	page.TabTo(`focus.matches(".contacts summary")`)
	page.Press("Enter")
	page.TabTo(`focus.innerText === "Forget"`)
	page.Press("Enter")
	page.Await(`document.activeElement.closest("dialog") !== null`)
	for _, one := range must(h.tokens.List())(t) {
		if one.Identity == alice.key {
			if err := h.tokens.Revoke(one.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	page.Await(`document.activeElement.id === "token" && !document.querySelector("dialog") && ` + shows("not good any more"))
	if n := len(h.hosting.Identities()); n != 2 {
		t.Errorf("%d identities", n)
	}
}

// Names that are HTML, paths or templates are shown as they are written. (What else may
// be hostile, package console tries with answers of no daemon.)
func TestConsoleShowsNamesAsTexts(t *testing.T) {
	h := newHouse(t)
	names := []string{`<script>window.bad=1</script>`, `"><img src=/x onerror="bad=1">`, `../../../../etc/passwd`, `{{constructor}} ${bad=1} &lt;b&gt;`}
	for _, name := range names {
		h.resident(name)
	}
	page, ok := h.console()
	if !ok {
		return
	}
	logIn(page, h.admin)
	for _, name := range names {
		page.Await(shows(name))
		page.TabTo(`focus.closest(".choices") && focus.innerText.startsWith(` + quoted(name) + `)`)
		page.Press("Enter")
		page.Await(`document.querySelector(".chosen h2").innerText === ` + quoted(name))
	}
	var bad bool
	if page.Look(`"bad" in window || document.querySelector("main img, main script") !== null`, &bad); bad {
		t.Error("a name became a part of the page")
	}
}

// What a token may not see is not shown, and a token is nowhere but in the page's memory.
func TestConsoleShowsNoMoreThanTheTokenMaySee(t *testing.T) {
	h := newHouse(t)
	alice := h.resident("alice")
	h.resident("bob")
	page, ok := h.console()
	if !ok {
		return
	}
	logIn(page, "rookery_0000000000000000_"+strings.Repeat("0", 64))
	page.Await(`document.getElementById("said").innerText === "unknown token" && document.activeElement.id === "token"`)
	logIn(page, alice.token)
	page.Await(shows(alice.key))
	var seen struct {
		Names  []string
		Engine bool
		Kept   string
	}
	page.Look(`({names: [...document.querySelectorAll(".choices .name")].map(n => n.innerText), engine: !document.getElementById("to-engine").hidden,
		kept: [location.href, document.cookie, JSON.stringify(localStorage), JSON.stringify(sessionStorage), document.documentElement.outerHTML, document.getElementById("token").value].join(" ")})`, &seen)
	if len(seen.Names) != 1 || seen.Names[0] != "alice" || seen.Engine || strings.Contains(seen.Kept, alice.token[30:]) {
		t.Errorf("got %+v", seen)
	}
	for _, one := range must(h.tokens.List())(t) { // and not for longer than it is good
		if one.Identity == alice.key {
			if err := h.tokens.Revoke(one.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	page.Await(`document.activeElement.id === "token" && ` + shows("not good any more") + ` && !` + shows(alice.key))
}

// lively is a daemon that has something to show.
func lively(h *house) (alice, bob *resident) {
	h.t.Helper()
	alice, bob = h.resident("alice"), h.resident("bob")
	alice.knows(bob)
	alice.send(bob, "hello", "")
	bob.listen("").message()
	bob.send(alice, "hello back", "")
	alice.listen("").message()
	h.twice("carol")
	mallory := h.resident("mallory")
	mallory.knows(bob)
	bob.call("ContactService/BlockContact", object{"contact": mallory.key}, nil)
	mallory.send(bob, "spam", "")
	eventually(h.t, "a refusal", func() bool { return h.hosting.Counts().Refused > 0 })
	return alice, bob
}

// Sessions, safety number and QR code, throughput, latency, causes and the store are
// there, in a window of a desk and of a phone, dark and light, and each control has a
// name that a screen reader can tell.
func TestConsoleShowsEverythingOnAnyScreen(t *testing.T) {
	h := newHouse(t)
	alice, bob := lively(h)
	page, ok := h.console()
	if !ok {
		return
	}
	page.View(1180, 1340, false)
	h.named(page)
	logIn(page, h.admin)
	page.TabTo(`focus.closest(".choices") && focus.innerText.startsWith("alice")`)
	page.Press("Enter")
	page.TabTo(`focus.matches(".contacts summary")`)
	page.Press("Enter")
	number := alice.explains(bob).SafetyNumber
	page.Await(`[...document.querySelectorAll(".number li")].map(n => n.innerText).join(" ") === ` + quoted(number))
	page.Await(shows("established, in use") + ` && ` + shows("Messages go both ways on the session in use.") + ` && ` + shows("forward secrecy"))
	h.named(page)
	h.picture(page, "sessions-light.png")
	h.fits(page)

	page.TabTo(`focus.id === "to-engine"`)
	page.Press("Enter")
	page.Await(shows("blocked") + ` && ` + shows("in order"))
	alice.send(bob, "more", "")
	page.Await(`[...document.querySelectorAll("tbody th")].some(n => n.innerText === "send: commit") && document.querySelector("polyline").getAttribute("points").includes(" ")`)
	h.named(page)
	page.View(1180, 960, true)
	h.picture(page, "engine-dark.png")

	page.View(390, 844, true)
	h.fits(page)
	page.TabTo(`focus.id === "to-identities"`)
	page.Press("Enter")
	page.TabTo(`focus.closest(".choices") && focus.innerText.startsWith("alice")`)
	page.Press("Enter")
	page.TabTo(`focus.matches(".chosen > details > summary")`)
	page.Press("Enter")
	page.Await(`document.querySelector("img.qr")?.naturalWidth > 100`)
	page.Await(`(document.querySelector(".chosen h2").scrollIntoView(), true)`)
	h.named(page)
	h.fits(page)
	shown := h.picture(page, "phone-dark.png")
	var code struct{ ContactCode string }
	alice.call("IdentityService/GetContactCode", object{}, &code)
	if got, err := qrcode.Read(bytes.NewReader(shown)); err != nil || got != code.ContactCode {
		t.Errorf("another phone would read %q, %v", got, err)
	}
	var colors struct{ Dark, Light string }
	page.Look(`getComputedStyle(document.body).backgroundColor`, &colors.Dark)
	page.View(390, 844, false)
	page.Look(`getComputedStyle(document.body).backgroundColor`, &colors.Light)
	if colors.Dark != "rgb(19, 20, 22)" || colors.Light != "rgb(246, 246, 244)" {
		t.Errorf("backgrounds %+v", colors)
	}
}

// named holds that a screen reader can tell what each control does.
func (h *house) named(page *browsertest.Page) {
	h.t.Helper()
	controls := page.Controls()
	if len(controls) == 0 {
		h.t.Error("no controls")
	}
	for _, c := range controls {
		if strings.TrimSpace(c.Name) == "" {
			h.t.Errorf("a %s without a name among %v", c.Role, controls)
		}
	}
}

// fits holds that nothing is wider than the window, and that fingers can hit what is to
// be hit.
func (h *house) fits(page *browsertest.Page) {
	h.t.Helper()
	var size struct {
		Wide, Window float64
		Small        []string
	}
	page.Look(`({wide: document.documentElement.scrollWidth, window: innerWidth,
		small: [...document.querySelectorAll("button, summary, input")].filter(n => n.checkVisibility() && n.getBoundingClientRect().height < 30).map(n => n.innerText)})`, &size)
	if size.Wide > size.Window || len(size.Small) > 0 {
		h.t.Errorf("got %+v", size)
	}
}

// picture looks at the window as it is drawn, and keeps the picture if that is wanted.
func (h *house) picture(page *browsertest.Page, name string) []byte {
	h.t.Helper()
	content := page.Picture()
	config, err := png.DecodeConfig(bytes.NewReader(content))
	if err != nil || config.Width < 300 || len(content) > 200<<10 {
		h.t.Errorf("%s: %+v, %d bytes, %v", name, config, len(content), err)
	}
	if *rewrite {
		if err := os.WriteFile(filepath.Join("..", "..", "docs", "console-"+name), content, 0o600); err != nil {
			h.t.Fatal(err)
		}
	}
	return content
}

// The console can be switched off, and is not under names of others.
func TestConsoleIsServedIfItIsWanted(t *testing.T) {
	for _, on := range []bool{true, false} {
		d := New(Options{Console: on, ConsoleHosts: []string{"proxy.example"}})
		for host, want := range map[string]bool{"localhost": on, "proxy.example": on, "tls.example": on, "evil.example": false} {
			r := must(http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+host+"/console/", nil))(t)
			w := httptest.NewRecorder()
			d.handler("tls.example").ServeHTTP(w, r)
			if (w.Code == http.StatusOK) != want {
				t.Errorf("%v, as %s: %d", on, host, w.Code)
			}
		}
	}
}
