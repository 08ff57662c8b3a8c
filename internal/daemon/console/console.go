package console

import (
	"embed"
	"net"
	"net/http"
	"path"
	"strings"
)

// Path is where the page is served; its files are beside it.
const Path = "/console/"

//go:embed page
var files embed.FS

const folder = "page"

// policy lets the page load its own files, show pictures that it has the bytes of, and
// call the API that it came from. Nothing else: no script or style in the text, no other
// host, no frame around it, no HTML made of texts.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
	"frame-ancestors 'none'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

var headers = map[string]string{
	"Content-Security-Policy":      policy,
	"X-Content-Type-Options":       "nosniff",
	"X-Frame-Options":              "DENY",
	"Referrer-Policy":              "no-referrer",
	"Cross-Origin-Opener-Policy":   "same-origin",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Permissions-Policy":           "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
	"Cache-Control":                "no-cache",
}

// types are those of the files, whatever the host's own table says.
var types = map[string]string{
	".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
}

// Register serves the page below Path, and leads there from "/", for who asks under one
// of the names of this host: localhost, an address, or one of those that are given. A
// page of somebody else's whose name suddenly stands for our address gets nothing.
func Register(mux *http.ServeMux, names ...string) {
	entries, err := files.ReadDir(folder)
	if err != nil {
		panic("internal error: " + err.Error())
	}
	for _, entry := range entries {
		content, err := files.ReadFile(path.Join(folder, entry.Name()))
		if err != nil {
			panic("internal error: " + err.Error())
		}
		// Each file is a path of its own: no path is ever looked up.
		name := entry.Name()
		if name == "index.html" {
			name = "{$}"
		}
		mux.HandleFunc("GET "+Path+name, guarded(names, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", types[path.Ext(entry.Name())])
			_, _ = w.Write(content) // or the caller is gone
		}))
	}
	for _, from := range []string{"GET /{$}", "GET " + strings.TrimSuffix(Path, "/")} {
		mux.HandleFunc(from, guarded(names, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, Path, http.StatusFound)
		}))
	}
}

// guarded answers with the headers of the page, under names of this host alone.
func guarded(names []string, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for header, value := range headers {
			w.Header().Set(header, value)
		}
		if !ours(r.Host, names) {
			http.Error(w, "this host is not called so: rookery serve --console-host allows more names", http.StatusMisdirectedRequest)
			return
		}
		next(w, r)
	}
}

// ours tells whether a request was made to a name of this host. An address cannot be
// made to stand for another one; a name can.
func ours(host string, names []string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.Trim(host, "[]"), ".")
	if strings.EqualFold(host, "localhost") || net.ParseIP(host) != nil {
		return true
	}
	for _, name := range names {
		if name != "" && strings.EqualFold(host, strings.TrimSuffix(name, ".")) {
			return true
		}
	}
	return false
}
