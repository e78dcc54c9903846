package law

import (
	"go/ast"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Size limits, above which code is hard to read.
const (
	maxFileLines     = 400
	maxFunctionLines = 70
)

// guestPrograms are compiled to WebAssembly. There the host calls package initialisation,
// and small programs show the raw interface in one file.
var guestPrograms = []string{"examples", "guest-sdk/examples", "guest-sdk/internal/guests", "testdata/guests/src", "bench/guests"}

// memberRule forbids functions and variables of packages.
type memberRule struct {
	except  []string // directories or files that are exempt
	members []string
	tests   bool // applies to test files, too
	why     string
}

// memberLaw applies to files other than tests, unless a rule says otherwise.
var memberLaw = []memberRule{
	{except: append([]string{"cmd", "testdata/guests/guests.go", "internal/durable/crashtest", "bench", "conformance"}, guestPrograms...),
		members: []string{"os.Getenv", "os.LookupEnv", "os.Environ", "os.ExpandEnv", "os.UserHomeDir", "os.UserCacheDir",
			"os.UserConfigDir", "syscall.Getenv", "syscall.Environ", "net/http.ProxyFromEnvironment"},
		why: "settings come in by Config; only cmd reads the environment"},
	{except: append([]string{"bench", "services/servicetest", "guest-sdk/nethttp/network_guest.go"}, guestPrograms...),
		members: []string{"net/http.DefaultClient", "net/http.DefaultTransport", "net/http.DefaultServeMux", "net/http.Get", "net/http.Post",
			"net/http.Handle", "net/http.HandleFunc", "log.Print", "log.Printf", "log.Println", "log.Fatal", "log.Fatalf", "slog.SetDefault"},
		why: "no state of a package: it has no owner, no limits and no end, and the default transport reads the environment; nethttp makes it fail with a hint"},
	{
		except:  append([]string{"runtime/internal/turns", "bench"}, guestPrograms...),
		members: []string{"time.Sleep"},
		why:     "what waits waits for an event, and can be stopped; the pause in turns is there for the scheduler",
	},
	{
		except:  []string{"router", "services/control/deploy", "services/observe/tally/tallytest", "bench"},
		members: []string{"./router.BuildTable"},
		why:     "one writer: only services/control/deploy changes the table and the catalogue",
	},
	{
		except:  []string{"cmd/vespo/internal/server", "services/servicetest", "services/control/deploy", "services/control/lambda/crash_test.go", "services/control/follow/node_test.go"},
		members: []string{"./services/control/deploy.New"},
		tests:   true,
		why:     "one harness: tests of services start a server of services/servicetest; the crash suite has no test to fail, and a follower fetches its blobs",
	},
	{except: append([]string{"internal/regular", "testdata/guests/guests.go", "bench", "conformance"}, guestPrograms...),
		members: []string{"os.Open", "os.OpenFile", "os.ReadFile", "os.OpenRoot", "os.DirFS"},
		why:     "opening a named pipe blocks, and any name may be one: use internal/regular"},
	{except: append([]string{"internal/durable", "services/control/lambda/deadletters.go", "runtime", "cmd", "bench", "conformance"}, guestPrograms...),
		members: []string{"os.Rename"},
		why:     "what is kept on disk is written by internal/durable and passes its crash suite; runtime keeps a cache, and dead letters are appended"},
	{except: append([]string{"internal/client", "bench", "conformance"}, guestPrograms...),
		members: []string{"net/http.NewResponseController", "net/http.MaxBytesReader"},
		why:     "a handler reads its client's body and writes its response by internal/client, which bounds both and takes no deadline back too late"},
	{
		except:  []string{"cmd", "bench", "conformance"},
		members: []string{"os.Exit", "log.Fatal"},
		why:     "errors go up to main; whoever owns something must get to close it",
	},
}

// broken returns the forbidden members used by a file.
func (r memberRule) broken(s *source) (members []string) {
	if s.test() && !r.tests || within(s.path, r.except...) || within(s.path, guestPrograms...) {
		return nil
	}
	s.uses(func(member string) {
		if slices.Contains(r.members, member) {
			members = append(members, member)
		}
	})
	return members
}

func TestMembers(t *testing.T) {
	for _, s := range tree(t) {
		for _, rule := range memberLaw {
			for _, member := range rule.broken(s) {
				t.Errorf("%s uses %s: %s", s.path, member, rule.why)
			}
		}
	}
}

var unsafeFile = regexp.MustCompile(`_unsafe(_test)?\.go$`)

// unsafeElsewhere reports whether a file uses unsafe without "unsafe" in its name.
func unsafeElsewhere(s *source) bool {
	return slices.Contains(s.imports(), "unsafe") && !unsafeFile.MatchString(s.path) && !within(s.path, guestPrograms...)
}

func TestUnsafeIsNamed(t *testing.T) {
	for _, s := range tree(t) {
		if unsafeElsewhere(s) {
			t.Errorf("%s imports unsafe: put that into a file named *_unsafe.go, small enough to be read with suspicion", s.path)
		}
	}
}

// mayInit lists the files outside of guest programs that may have an init function.
var mayInit = map[string]string{
	"guest-sdk/export_native.go":           "stands in for the exported function that a host would call, and does nothing else",
	"guest-sdk/example_handle_test.go":     "shows in the documentation how a guest registers its handler",
	"guest-sdk/example_middleware_test.go": "shows in the documentation how a guest registers its handler",
	"guest-sdk/guesttest/example_test.go":  "shows in the documentation how a guest registers its handler",
	"guest-sdk/nethttp/example_test.go":    "shows in the documentation how a guest registers its handler",
}

// hasInit reports whether a file has an init function.
func hasInit(s *source) bool {
	return slices.ContainsFunc(s.functions(), func(f *ast.FuncDecl) bool { return f.Recv == nil && f.Name.Name == "init" })
}

func TestNothingRunsByItself(t *testing.T) {
	for _, s := range tree(t) {
		if hasInit(s) && mayInit[s.path] == "" && !within(s.path, guestPrograms...) {
			t.Errorf("%s has an init function: whatever it does has no owner and no order; let a caller call it", s.path)
		}
	}
}

// long returns the functions of a file that exceed the limit. A table of test cases is data
// and does not count.
func long(s *source) (names []string) {
	for _, f := range s.functions() {
		lines := s.linesOf(f)
		if s.test() {
			lines -= tableLines(s, f)
		}
		if lines > maxFunctionLines {
			names = append(names, f.Name.Name)
		}
	}
	return names
}

// tableLines counts the lines between the braces of composite literals.
func tableLines(s *source, f *ast.FuncDecl) (lines int) {
	ast.Inspect(f, func(n ast.Node) bool {
		literal, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		lines += max(0, s.linesOf(literal)-2)
		return false
	})
	return lines
}

func TestSizes(t *testing.T) {
	for _, s := range tree(t) {
		if s.lines > maxFileLines {
			t.Errorf("%s has %d lines: split what has two subjects; %d are the limit", s.path, s.lines, maxFileLines)
		}
		for _, name := range long(s) {
			t.Errorf("%s: the function %s is longer than %d lines: name its parts", s.path, name, maxFunctionLines)
		}
	}
}

// TestPackageComments requires one comment for each package, in the form that go doc shows.
func TestPackageComments(t *testing.T) {
	comments := make(map[string][]string) // by directory and package name
	for _, s := range tree(t) {
		if s.test() {
			continue
		}
		name := s.syntax.Name.Name
		key := s.dir() + " (package " + name + ")"
		comments[key] = append(comments[key], packageComment(s)...)
	}
	for key, found := range comments {
		if len(found) != 1 {
			t.Errorf("%s has %d package comments: write one, in doc.go or in the main file", key, len(found))
		}
	}
}

// packageComment returns the file's package comment, or none; a comment that go doc does
// not recognise counts as none.
func packageComment(s *source) []string {
	if s.syntax.Doc == nil {
		return nil
	}
	text := s.syntax.Doc.Text()
	begin := `^Package ` + regexp.QuoteMeta(s.syntax.Name.Name) + `\b`
	if s.syntax.Name.Name == "main" {
		begin = `(?i)^(Command )?` + regexp.QuoteMeta(path.Base(s.dir())) + `\b`
	}
	if !regexp.MustCompile(begin).MatchString(text) {
		return nil
	}
	return []string{text}
}

func TestHabitsSeeOffences(t *testing.T) {
	offences := func(file, text string) (n int) {
		s, err := parse(file, []byte(text))
		require.NoError(t, err)
		for _, rule := range memberLaw {
			n += len(rule.broken(s))
		}
		for _, found := range []bool{unsafeElsewhere(s), hasInit(s), len(long(s)) > 0} {
			if found {
				n++
			}
		}
		return n
	}
	body := strings.Repeat("\n", maxFunctionLines)
	for _, c := range []struct {
		file, text string
		want       int
	}{
		{"router/a.go", `package p; import "os"; var x = os.Getenv("X")`, 1},
		{"router/a.go", `package p; import system "os"; var x = system.Getenv("X")`, 1},
		{"cmd/vespo/a.go", `package p; import "os"; var x = os.Getenv("X")`, 0},
		{"router/a_test.go", `package p; import "os"; var x = os.Getenv("X")`, 0},
		{"router/a.go", `package p; import "time"; func f() { time.Sleep(1) }`, 1},
		{"cmd/vespo/a.go", `package p; import "os"; var x, err = os.ReadFile("x")`, 1},
		{"services/a.go", `package p; import "` + modulePath + `/router"; var x = router.BuildTable`, 1},
		{"services/kinds/wasm/a_test.go", `package p; import "` + modulePath + `/services/control/deploy"; var x = deploy.New`, 1},
		{"services/servicetest/a.go", `package p; import "` + modulePath + `/services/control/deploy"; var x = deploy.New`, 0},
		{"router/a.go", `package p; import "unsafe"; var x unsafe.Pointer`, 1},
		{"router/a_unsafe.go", `package p; import "unsafe"; var x unsafe.Pointer`, 0},
		{"router/a.go", `package p; func init() {}`, 1},
		{"router/a.go", `package p; type t int; func (t) init() {}`, 0},
		{"router/a.go", "package p; func f() {" + body + "}", 1},
		{"router/a_test.go", "package p; func f() { _ = []int{" + body + "1} }", 0},
		{"router/a.go", "package p; func f() { _ = []int{" + body + "1} }", 1},
	} {
		require.Equal(t, c.want, offences(c.file, c.text), "%s: %.80s", c.file, c.text)
	}
}
