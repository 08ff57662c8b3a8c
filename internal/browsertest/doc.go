// Package browsertest drives a headless Chromium in tests: what a page shows, what it
// does when keys are pressed, and whom it asks for anything.
//
// It owns the browser's process and the proxy that all its requests go through. It does
// not know what the pages are.
package browsertest
