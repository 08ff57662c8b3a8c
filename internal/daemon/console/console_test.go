package console

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// asked gives the answer to a request as it is, without the client's own tidying of
// paths.
func asked(t *testing.T, handler http.Handler, method, target, host string) *httptest.ResponseRecorder {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(method + " " + target + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

func served(names ...string) *http.ServeMux {
	mux := http.NewServeMux()
	Register(mux, names...)
	return mux
}

func TestEachFileIsServedUnderThePolicy(t *testing.T) {
	entries, err := files.ReadDir(folder)
	if err != nil || len(entries) < 5 {
		t.Fatalf("%d files, %v", len(entries), err)
	}
	mux := served()
	for _, entry := range entries {
		name := strings.TrimSuffix(entry.Name(), "index.html")
		answer := asked(t, mux, http.MethodGet, Path+name, "127.0.0.1:7330")
		if answer.Code != http.StatusOK || answer.Header().Get("Content-Type") != types[path.Ext(entry.Name())] || types[path.Ext(entry.Name())] == "" {
			t.Errorf("%s: %d %v", entry.Name(), answer.Code, answer.Header())
		}
		for header, value := range headers {
			if answer.Header().Get(header) != value {
				t.Errorf("%s: %s is %q", entry.Name(), header, answer.Header().Get(header))
			}
		}
	}
	for _, from := range []string{"/", "/console"} {
		if answer := asked(t, mux, http.MethodGet, from, "localhost"); answer.Code != http.StatusFound || answer.Header().Get("Location") != Path {
			t.Errorf("%s: %d %v", from, answer.Code, answer.Header())
		}
	}
}

// There are no paths but those of the files: nothing is looked up by what is asked for.
func TestOtherPathsLeadNowhere(t *testing.T) {
	mux := served()
	for _, target := range []string{
		"/console/index.html", "/console/page/main.js", "/console/console.go", "/console/main.js/", "/console/main.js%00", "/console/MAIN.JS",
		"/console/../console.go", "/console/../../etc/passwd", "/console/%2e%2e/console.go", "/console/..%2fconsole.go", "/console/..%5cconsole.go",
		"/console/.%2e/%2e%2e/etc/passwd", "/console//etc/passwd", "/console/%2fetc/passwd", "/page/main.js", "//console/../page", "/console/.",
	} {
		answer := asked(t, mux, http.MethodGet, target, "localhost")
		if answer.Code == http.StatusOK || answer.Header().Get("Location") == target {
			t.Errorf("%s: %d", target, answer.Code)
		}
		if to := answer.Header().Get("Location"); to != "" && to != path.Clean(to) && to != path.Clean(to)+"/" {
			t.Errorf("%s leads to %s", target, to)
		}
	}
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions} {
		if answer := asked(t, mux, method, Path, "localhost"); answer.Code != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d", method, answer.Code)
		}
	}
}

// A name of somebody else's that stands for our address (DNS rebinding) gets nothing.
func TestPageIsServedUnderNamesOfThisHostAlone(t *testing.T) {
	mux := served("console.example", "", "dot.example.")
	for host, want := range map[string]int{
		"localhost": 200, "localhost:7330": 200, "LocalHost.": 200, "127.0.0.1": 200, "127.0.0.1:7330": 200, "[::1]:7330": 200, "[::1]": 200, "192.0.2.7:1": 200,
		"console.example": 200, "Console.Example:443": 200, "dot.example": 200, "console.example.": 200,
		"evil.example": 421, "evil.example:7330": 421, "127.0.0.1.evil.example": 421, "localhost.evil.example": 421, "xconsole.example": 421, "": 421, ":7330": 421, "127.0.0.1@evil.example": 421,
	} {
		for _, target := range []string{Path, Path + "main.js"} {
			if got := asked(t, mux, http.MethodGet, target, host).Code; got != want {
				t.Errorf("%s as %q: %d, want %d", target, host, got, want)
			}
		}
		if got := asked(t, mux, http.MethodGet, "/", host).Code; (got == http.StatusFound) != (want == 200) {
			t.Errorf("/ as %q: %d", host, got)
		}
	}
}

// forbidden are ways to make HTML or code of a text, to keep a secret longer than the
// page, or to ask somebody else.
var forbidden = regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|srcdoc|DOMParser|createContextualFragment|` +
	`localStorage|sessionStorage|indexedDB|document\.cookie|location\.|history\.pushState|https?:|//[a-z]|@import|url\(|\bstyle=|\son[a-z]+="|javascript:`)

// addressOfSVG is a name, which no browser asks for.
const addressOfSVG = `"http://www.w3.org/2000/svg"`

func TestFilesHaveNoWayToMakeHTMLOrToAskOthers(t *testing.T) {
	entries, err := files.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		content, err := files.ReadFile(path.Join(folder, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		for n, line := range strings.Split(strings.ReplaceAll(string(content), addressOfSVG, ""), "\n") {
			if found := forbidden.FindString(line); found != "" {
				t.Errorf("%s:%d: %q", entry.Name(), n+1, found)
			}
		}
	}
	for _, line := range []string{`node.innerHTML = x`, `fetch("https://x")`, `<p style="x">`, `<img onerror="x">`, `import "//x"`} {
		if !forbidden.MatchString(line) {
			t.Errorf("%s would not be found", line)
		}
	}
	if !slices.Contains(strings.Split(policy, "; "), "default-src 'none'") {
		t.Error(policy)
	}
}
