package law

import (
	"go/ast"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// maxDialect is the number of matches of dialect accepted in 1,000 words. The comments of net/http have 0.4 and wazero's
// 0.2, its docs 0.5: each pattern has its plain uses.
const maxDialect = 0.7

// dialect are patterns of the prose that CONTRIBUTING.md asks to avoid: a clause or a pronoun where a noun exists, and verbs
// that the field does not use.
var dialect = []*regexp.Regexp{
	regexp.MustCompile(`(?i)\b(what|who|whom) (is|was|are|were|has|have|had|can|may|runs?|invokes?|calls?|serves?|deploys?|comes?|waits?|reads?|writes?|wants?|uses?|goes|makes?|asks?|holds?)\b[^?\n]*(\?)?`),
	regexp.MustCompile(`(?i)\b(nobody|somebody|everybody|anybody|whoever|whatever)\b`),
	regexp.MustCompile(`(?i)\bgives\b( up)?`),
	regexp.MustCompile(`(?i)\b((tells?|says?) (whether|if)|tells? (of|what|who|why|how|it|that)|(is|are|was) told)\b`),
	regexp.MustCompile(`(?i)\b(those (who|that)|that which|(to|can) be had|(not|is) there yet|is no matter|behind which)\b`),
}

// prose counts words and matches of dialect.
type prose struct {
	words   int
	matches []string // with their places
}

func (p *prose) add(place, text string) {
	for line := range strings.Lines(text) {
		p.words += len(strings.Fields(line))
		for _, pattern := range dialect {
			for _, m := range pattern.FindAllString(line, -1) {
				if strings.HasSuffix(m, "?") || strings.HasSuffix(m, " up") { // a question; to give up
					continue
				}
				p.matches = append(p.matches, place+": "+strings.TrimSpace(line))
			}
		}
	}
}

func (p *prose) check(t *testing.T) {
	t.Helper()
	require.Greater(t, p.words, 1000)
	rate := float64(len(p.matches)) * 1000 / float64(p.words)
	t.Logf("%d matches in %d words: %.2f in 1,000", len(p.matches), p.words, rate)
	if rate > maxDialect {
		t.Errorf("more than %.1f in 1,000 words: see \"Voice\" in CONTRIBUTING.md\n%s", maxDialect, strings.Join(p.matches, "\n"))
	}
}

// TestVoiceOfComments reads all comments, those of tests included.
func TestVoiceOfComments(t *testing.T) {
	var p prose
	for _, s := range tree(t) {
		if s.path == "internal/law/voice_test.go" {
			continue
		}
		for _, group := range s.syntax.Comments {
			for _, c := range group.List {
				p.add(s.path+":"+strconv.Itoa(s.set.Position(c.Pos()).Line), strings.TrimPrefix(c.Text, "//"))
			}
		}
	}
	p.check(t)
}

// TestVoiceOfMessages reads the string literals of several words: errors, log lines, help texts.
func TestVoiceOfMessages(t *testing.T) {
	var p prose
	for _, s := range tree(t) {
		if s.test() {
			continue
		}
		ast.Inspect(s.syntax, func(n ast.Node) bool {
			literal, ok := n.(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				return true
			}
			if text, err := strconv.Unquote(literal.Value); err == nil && strings.Count(text, " ") >= 2 {
				p.add(s.path+":"+strconv.Itoa(s.set.Position(literal.Pos()).Line), text)
			}
			return true
		})
	}
	p.check(t)
}

// TestVoiceOfDocs reads the Markdown files. CONTRIBUTING.md is left out: it shows both voices side by side.
func TestVoiceOfDocs(t *testing.T) {
	var p prose
	require.NoError(t, filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && file != root && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case d.IsDir() || filepath.Ext(file) != ".md" || d.Name() == "CONTRIBUTING.md":
			return nil
		}
		text, err := os.ReadFile(file)
		p.add(filepath.ToSlash(file), string(text))
		return err
	}))
	p.check(t)
}
