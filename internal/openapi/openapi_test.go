package main

import (
	"strings"
	"testing"

	"go.yaml.in/yaml/v2"
	"google.golang.org/protobuf/reflect/protoreflect"

	apiv1 "github.com/rookery-im/rookery/proto/api/v1"
)

// What is committed is YAML whose references lead somewhere, and has each method once.
func TestDescriptionHasEachMethodAndNoDeadReference(t *testing.T) {
	var document struct {
		OpenAPI    string `yaml:"openapi"`
		Paths      map[string]map[string]struct{ OperationID string }
		Components struct{ Schemas map[string]any }
	}
	if err := yaml.Unmarshal(apiv1.OpenAPI, &document); err != nil {
		t.Fatal(err)
	}
	methods := 0
	for _, file := range []protoreflect.FileDescriptor{
		apiv1.File_api_v1_identities_proto, apiv1.File_api_v1_contacts_proto, apiv1.File_api_v1_messages_proto,
		apiv1.File_api_v1_events_proto, apiv1.File_api_v1_daemon_proto, apiv1.File_api_v1_webhooks_proto,
	} {
		for s := range file.Services().Len() {
			service := file.Services().Get(s)
			for m := range service.Methods().Len() {
				methods++
				path := "/" + string(service.FullName()) + "/" + string(service.Methods().Get(m).Name())
				if _, ok := document.Paths[path]["post"]; !ok {
					t.Errorf("%s is not described", path)
				}
			}
		}
	}
	if got := len(document.Paths); methods < 20 || got != methods+3 {
		t.Errorf("%d paths for %d methods", got, methods)
	}
	for _, line := range strings.Split(string(apiv1.OpenAPI), "\n") {
		if _, to, ok := strings.Cut(line, "#/components/schemas/"); ok && document.Components.Schemas[strings.Trim(to, `"`)] == nil {
			t.Errorf("%s leads nowhere", to)
		}
	}
}

func TestYAMLIsWrittenInOrder(t *testing.T) {
	var b strings.Builder
	tree{{"b", "x: \"y\"\n"}, {"a", tree{{"n", 1}, {"no", tree{}}}}, {"l", []string{"s"}}, {"t", []tree{{{"p", true}, {"q", "r"}}}}}.write(&b, "")
	want := "b: \"x: \\\"y\\\"\\n\"\na:\n  n: 1\n  no: {}\nl:\n  - \"s\"\nt:\n  - p: true\n    q: \"r\"\n"
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
	if err := yaml.Unmarshal([]byte(b.String()), new(map[string]any)); err != nil {
		t.Error(err)
	}
}
