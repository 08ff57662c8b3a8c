package browsertest

import (
	"context"
	"encoding/json"
	"testing"
	"time"
)

// Page is what a browser shows. What goes wrong ends the test.
type Page struct {
	t        testing.TB
	devtools *devtools
}

type object map[string]any

func (p *Page) ask(method string, params, result any) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	if err := p.devtools.ask(ctx, method, params, result); err != nil {
		p.t.Fatal(err)
	}
}

func (p *Page) start() {
	p.t.Helper()
	var target struct{ TargetID string }
	p.ask("Target.createTarget", object{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	p.ask("Target.attachToTarget", object{"targetId": target.TargetID, "flatten": true}, &attached)
	p.devtools.session = attached.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log", "Accessibility"} {
		p.ask(domain+".enable", nil, nil)
	}
}

// Go opens an address, and waits until the page is there.
func (p *Page) Go(address string) {
	p.t.Helper()
	var went struct{ ErrorText string }
	p.ask("Page.navigate", object{"url": address}, &went)
	if went.ErrorText != "" {
		p.t.Fatalf("%s: %s", address, went.ErrorText)
	}
	p.Await(`document.readyState === "complete" && location.href !== "about:blank"`)
}

// Look computes an expression of JavaScript in the page, and gives its value.
func (p *Page) Look(expression string, value any) {
	p.t.Helper()
	var got struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails json.RawMessage
	}
	p.ask("Runtime.evaluate", object{"expression": expression, "returnByValue": true, "awaitPromise": true}, &got)
	if got.ExceptionDetails != nil {
		p.t.Fatalf("%s: %s", expression, got.ExceptionDetails)
	}
	if err := json.Unmarshal(got.Result.Value, value); err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
}

// Await waits until an expression is true.
func (p *Page) Await(expression string) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		var is bool
		if p.Look(expression, &is); is {
			return
		}
		if time.Now().After(deadline) {
			var text string
			p.Look(`document.body.innerText`, &text)
			p.t.Fatalf("not after %v: %s; the page shows:\n%s\nand has said %v", patience, expression, text, p.Said())
		}
	}
}

// keys are those that can be pressed: their code of Windows, and what they write.
var keys = map[string]struct {
	code int
	text string
}{"Tab": {9, ""}, "Enter": {13, "\r"}, " ": {32, " "}, "Escape": {27, ""}}

// Press presses a key of the keyboard.
func (p *Page) Press(key string) {
	p.t.Helper()
	name := key
	if key == " " {
		name = "Space"
	}
	event := object{"type": "keyDown", "key": key, "code": name, "windowsVirtualKeyCode": keys[key].code, "text": keys[key].text}
	p.ask("Input.dispatchKeyEvent", event, nil)
	event["type"], event["text"] = "keyUp", ""
	p.ask("Input.dispatchKeyEvent", event, nil)
}

// Write types a text where the focus is.
func (p *Page) Write(text string) {
	p.t.Helper()
	p.ask("Input.insertText", object{"text": text}, nil)
}

// TabTo presses Tab until an expression, in which "focus" is the element with the focus,
// is true; at most 200 times.
func (p *Page) TabTo(expression string) {
	p.t.Helper()
	for range 200 {
		var there bool
		p.Look(`(focus => Boolean(`+expression+`))(document.activeElement)`, &there)
		if there {
			return
		}
		p.Press("Tab")
	}
	p.t.Fatalf("no way by the keyboard to: %s", expression)
}

// View sets the size of the window, in pixels, and whether the surroundings are dark.
func (p *Page) View(width, height int, dark bool) {
	p.t.Helper()
	p.ask("Emulation.setDeviceMetricsOverride", object{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false}, nil)
	scheme := map[bool]string{true: "dark", false: "light"}[dark]
	p.ask("Emulation.setEmulatedMedia", object{"features": []object{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
}

// Picture gives what the window shows, as PNG.
func (p *Page) Picture() []byte {
	p.t.Helper()
	var shot struct{ Data []byte }
	p.ask("Page.captureScreenshot", object{"format": "png"}, &shot)
	return shot.Data
}

// Control is what can be operated, as a screen reader tells of it.
type Control struct{ Role, Name string }

// operated are the roles of controls.
var operated = map[string]bool{
	"button": true, "link": true, "textbox": true, "searchbox": true, "checkbox": true, "combobox": true,
	"radio": true, "switch": true, "tab": true, "menuitem": true, "alertdialog": true, "dialog": true, "DisclosureTriangle": true, "image": true, "table": true, "navigation": true,
}

// Controls gives all that a screen reader finds, with pictures, tables and landmarks.
func (p *Page) Controls() []Control {
	p.t.Helper()
	var tree struct {
		Nodes []struct {
			Ignored    bool
			Role, Name struct{ Value any }
		}
	}
	p.ask("Accessibility.getFullAXTree", nil, &tree)
	var all []Control
	for _, node := range tree.Nodes {
		role, _ := node.Role.Value.(string)
		name, _ := node.Name.Value.(string)
		if !node.Ignored && operated[role] {
			all = append(all, Control{role, name})
		}
	}
	return all
}

// Said gives what the page's console has of exceptions, and of what was refused to it.
func (p *Page) Said() []string {
	p.devtools.mu.Lock()
	defer p.devtools.mu.Unlock()
	return append([]string{}, p.devtools.said...)
}
