package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v2"
)

// configFile is a file with flags of a command. What is given on the command line or by
// the environment wins over it, and it wins over defaults.
type configFile string

var errConfig = errors.New("configuration file")

// maxConfig in bytes.
const maxConfig = 64 << 10

// BeforeResolve implements kong's hook.
func (f configFile) BeforeResolve(parsed *kong.Context) error {
	path, ok := parsed.FlagValue(flagNamed(parsed, "config")).(configFile)
	if !ok || path == "" {
		return nil
	}
	values, err := readConfig(string(path))
	if err != nil {
		return err
	}
	for name := range values {
		if slices.Contains(notInFile, name) || flagNamed(parsed, name) == nil {
			return fmt.Errorf("%w %s: there is no %q", errConfig, path, name)
		}
	}
	parsed.AddResolver(configValues(values))
	return nil
}

func readConfig(path string) (map[string]string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errConfig, err)
	}
	defer func() { _ = file.Close() }() // it was only read
	content, err := io.ReadAll(io.LimitReader(file, maxConfig+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errConfig, err)
	}
	if len(content) > maxConfig {
		return nil, fmt.Errorf("%w %s: more than %d bytes", errConfig, path, maxConfig)
	}
	values := make(map[string]string)
	if err := yaml.UnmarshalStrict(content, &values); err != nil {
		return nil, fmt.Errorf("%w %s: %w", errConfig, path, err)
	}
	return values, nil
}

// configValues are what a configuration file says.
type configValues map[string]string

// notInFile are flags that say what the command does, not how.
var notInFile = []string{"help", "config", "print-config", "json"}

// Validate implements kong.Resolver.
func (c configValues) Validate(*kong.Application) error { return nil }

// Resolve implements kong.Resolver.
func (c configValues) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	value, ok := c[flag.Name]
	if !ok || slices.Contains(notInFile, flag.Name) || fromEnvironment(flag) {
		return nil, nil //nolint:nilnil // it is not for us to say
	}
	return value, nil
}

func flagNamed(parsed *kong.Context, name string) *kong.Flag {
	flags := parsed.Flags()
	at := slices.IndexFunc(flags, func(f *kong.Flag) bool { return f.Name == name })
	if at < 0 {
		return nil
	}
	return flags[at]
}

func fromEnvironment(flag *kong.Flag) bool {
	return slices.ContainsFunc(flag.Envs, func(name string) bool { _, set := os.LookupEnv(name); return set })
}

// setting is a flag as --print-config shows it.
type setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	From  string `json:"from"` // flag, environment, file or default
}

// print writes a line.
func (s setting) print(w io.Writer) {
	_, _ = fmt.Fprintf(w, "%-18s %-40s # %s\n", s.Name+":", plain(s.Value), s.From)
}

// login is who logs in, and by what, in the address of a network.
var login = regexp.MustCompile(`//[^/@]*@`)

func (c *ServeCmd) printConfig(parsed *kong.Context, out *output) error {
	from := make(map[string]string)
	for _, p := range parsed.Path {
		if p.Flag != nil {
			from[p.Flag.Name] = map[bool]string{true: "file", false: "flag"}[p.Resolved]
		}
	}
	for _, flag := range parsed.Flags() {
		if slices.Contains(notInFile, flag.Name) {
			continue
		}
		s := setting{flag.Name, fmt.Sprint(parsed.FlagValue(flag)), from[flag.Name]}
		if s.From == "" && fromEnvironment(flag) {
			s.From = "environment"
		}
		s.Value, s.From = login.ReplaceAllString(s.Value, "//...@"), cmp.Or(s.From, "default")
		if err := c.show(out, s); err != nil {
			return err
		}
	}
	for _, name := range []string{"ROOKERY_KEY_FILE", "ROOKERY_PASSPHRASE"} { // read when the store is opened
		if value, set := os.LookupEnv(name); set && c.KeyFile == "" && c.PassphraseFile == "" {
			if strings.HasSuffix(name, "PASSPHRASE") {
				value = "(not shown)"
			}
			if err := c.show(out, setting{name, value, "environment"}); err != nil {
				return err
			}
		}
	}
	return nil
}
