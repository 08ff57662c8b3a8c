package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// CompletionCmd prints what makes a shell complete command lines.
type CompletionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// completeWords is the first word of a command line by which a shell asks how the
// words behind it go on. It is answered before anything else is looked at.
const completeWords = "complete-words"

// completions are scripts that ask by completeWords. A name of a file is what a word
// can be that nothing is known for. That of zsh may be sourced, or lie as _rookery in a
// folder of $fpath, from where it is read when it is first asked.
var completions = map[string]string{
	// A shell that takes = for the end of a word shows it as a word.
	"bash": `_rookery() {
	local word="${COMP_WORDS[COMP_CWORD]}" IFS=$'\n'
	[[ $word == = ]] && word=
	COMPREPLY=($(compgen -W "$("${COMP_WORDS[0]}" ` + completeWords + ` "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)" -- "$word"))
}
complete -o default -F _rookery rookery
`,
	"zsh": `#compdef rookery
_rookery() {
	local -a found
	found=("${(@f)$("${words[1]}" ` + completeWords + ` "${(@)words[2,CURRENT]}" 2>/dev/null)}")
	if [[ -n "$found" ]]; then compadd -- "${found[@]}"; else _files; fi
}
if [[ "${funcstack[1]}" == _rookery ]]; then _rookery; else compdef _rookery rookery; fi
`,
	"fish": `function __rookery_complete
	set -l words (commandline -opc)
	set -l word (commandline -ct)
	set -l found ($words[1] ` + completeWords + ` $words[2..-1] "$word" 2>/dev/null)
	if test (count $found) -gt 0
		printf '%s\n' $found
	else
		__fish_complete_path "$word"
	end
end
complete -c rookery -f -a '(__rookery_complete)'
`,
}

// Run implements kong's command.
func (c *CompletionCmd) Run(out *output) error {
	_, err := fmt.Fprint(out.stdout, completions[c.Shell])
	return err
}

// candidates are what the last of the words of a command line can become. None: a
// file, or what only the user knows.
func candidates(root *kong.Node, words []string) []string {
	if len(words) == 0 {
		words = []string{""}
	}
	node, wants := root, (*kong.Flag)(nil) // wants: the flag whose value comes next
	for _, word := range words[:len(words)-1] {
		switch {
		case word == "=" && wants != nil:
		case wants != nil:
			wants = nil
		case strings.HasPrefix(word, "--"):
			name, _, given := strings.Cut(word[2:], "=")
			if flag := flagOf(node, name); flag != nil && !flag.IsBool() && !given {
				wants = flag
			}
		default:
			if child := childOf(node, word); child != nil {
				node = child
			}
		}
	}
	word := words[len(words)-1]
	if wants != nil {
		return beginWith(values(wants.Value), strings.TrimPrefix(word, "="))
	}
	if name, value, given := strings.Cut(strings.TrimPrefix(word, "--"), "="); given && strings.HasPrefix(word, "--") {
		var found []string
		if flag := flagOf(node, name); flag != nil {
			for _, v := range beginWith(values(flag.Value), value) {
				found = append(found, "--"+name+"="+v)
			}
		}
		return found
	}
	if strings.HasPrefix(word, "-") {
		return beginWith(flagsOf(node), word)
	}
	var found []string
	for _, child := range node.Children {
		if !child.Hidden && child.Type == kong.CommandNode {
			found = append(found, child.Name)
		}
	}
	if len(node.Positional) > 0 {
		found = append(found, values(node.Positional[0])...)
	}
	return beginWith(found, word)
}

// values are all that a flag or an argument may be, nil if they are not known.
func values(v *kong.Value) []string {
	if v.Enum == "" {
		return nil
	}
	return v.EnumSlice()
}

func beginWith(all []string, prefix string) []string {
	found := slices.DeleteFunc(slices.Clone(all), func(s string) bool { return !strings.HasPrefix(s, prefix) })
	slices.Sort(found)
	return found
}

func childOf(node *kong.Node, name string) *kong.Node {
	for _, child := range node.Children {
		if child.Name == name || slices.Contains(child.Aliases, name) {
			return child
		}
	}
	return nil
}

// eachFlag calls fn for the flags of a command and those of the commands above it.
func eachFlag(node *kong.Node, fn func(*kong.Flag)) {
	for ; node != nil; node = node.Parent {
		for _, flag := range node.Flags {
			if !flag.Hidden {
				fn(flag)
			}
		}
	}
}

func flagOf(node *kong.Node, name string) (found *kong.Flag) {
	eachFlag(node, func(flag *kong.Flag) {
		if found == nil && flag.Name == name {
			found = flag
		}
	})
	return found
}

func flagsOf(node *kong.Node) (names []string) {
	eachFlag(node, func(flag *kong.Flag) { names = append(names, "--"+flag.Name) })
	return names
}
