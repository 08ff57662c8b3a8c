package console

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rookery-im/rookery/internal/browsertest"
)

// hostile is what each text of an answer is.
const hostile = `<img src=x onerror=window.bad=1><script>window.bad=1</script>`

// answers are those of the API; X stands for a hostile text, with a number that tells
// one from the other.
var answers = map[string]string{
	"IdentityService/ListIdentities": `{"identities":[{"publicKey":"X1","installation":"X2","name":"X3"},{"publicKey":"X4","installation":"X5","retired":true,"successor":"X6"}]}`,
	"IdentityService/GetContactCode": `{"contactCode":"X7","qrCodePng":"\"><script>window.bad=1</script>"}`,
	"ContactService/ListDevices":     `{"devices":[{"installation":"X8"},{"installation":"X9","enabled":true}]}`,
	"ContactService/ListContacts":    `{"contacts":[{"publicKey":"XA","standing":"XB"}]}`,
	"ContactService/ExplainContact": `{"contact":{"publicKey":"XA","standing":"XB","devices":[{"installation":"XC"}]},"safetyNumber":"XD",
		"devices":[{"installation":"XC","outlook":"XE","prekey":{"version":"XF"},"sessions":[{"id":"XG","state":"XH"}]}]}`,
	"ContactService/DenyDevice":    `{"code":"X","message":"XI"}`,
	"ContactService/ForgetContact": `{"code":"X","message":"XP"}`,
	"DaemonService/GetStats":       `{"atUnixMs":"1","sent":"X","refusedByCause":[{"cause":"XJ","count":"1"}],"latencies":[{"direction":"XK","stage":"XL","times":{}}],"store":{"diskBytes":"XM"}}`,
	"DaemonService/GetHealth":      `{"known":true,"detail":"XN"}`,
}

// Whatever a daemon answers is shown as it is written: no text of it becomes a part of
// the page, and none makes it ask anybody.
func TestHostileAnswersAreTexts(t *testing.T) {
	mux := served()
	mux.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		answer, ok := answers[strings.TrimPrefix(r.URL.Path, "/rookery.api.v1.")]
		if !ok || strings.HasPrefix(answer, `{"code"`) {
			w.WriteHeader(http.StatusBadRequest)
		}
		_, _ = fmt.Fprint(w, strings.ReplaceAll(answer, "X", hostile))
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	browser, ok := browsertest.New(t, strings.TrimPrefix(server.URL, "http://"))
	if !ok {
		return
	}
	page := browser.Open()
	page.Go(server.URL + "/console/")
	page.Await(`document.activeElement.id === "token"`)
	page.Write("x")
	page.Press("Enter")
	seen := func(marks string) {
		t.Helper()
		for _, mark := range marks {
			page.Await(fmt.Sprintf("document.body.textContent.includes(%q)", hostile+string(mark)))
		}
	}
	seen("12389")
	page.TabTo(`focus.matches(".chosen > details > summary")`)
	page.Press("Enter")
	seen("7")
	page.TabTo(`focus.matches(".contacts summary")`)
	page.Press("Enter")
	seen("ACF")
	page.TabTo(`focus.innerText === "Deny"`)
	page.Press("Enter")
	seen("I")
	page.TabTo(`focus.innerText === "Forget"`)
	page.Press("Enter")
	page.Await(`document.querySelector("dialog h2").innerText.startsWith("Forget <img")`)
	page.TabTo(`focus.innerText === "Forget" && focus.closest("dialog")`)
	page.Press("Enter")
	seen("P")
	page.TabTo(`focus.id === "to-engine"`)
	page.Press("Enter")
	seen("NJ")
	var bad bool
	page.Look(`"bad" in window || document.querySelector("script:not([src='main.js']), img:not(.qr)") !== null`, &bad)
	if bad {
		t.Error("a text became a part of the page")
	}
	if n := browser.Refused(); n != 0 {
		t.Errorf("others were asked %d times", n)
	}
}
