package abi

import (
	"slices"
	"strings"
	"testing"
)

func filler(value string) func([]byte) uint32 {
	return func(buf []byte) uint32 {
		if len(value) <= len(buf) {
			copy(buf, value)
		}
		return uint32(len(value))
	}
}

func TestText(t *testing.T) {
	for _, n := range []int{0, 1, len(scratch) - 1, len(scratch), len(scratch) + 1, 100_000} {
		want := strings.Repeat("x", n)
		if got := Text(filler(want)); got != want {
			t.Errorf("%d bytes: got %d", n, len(got))
		}
	}
}

// TestTextsStay reads more texts than the static memory holds. Each stays as it is, and has no bytes of others behind it.
func TestTextsStay(t *testing.T) {
	var want, got []string
	for n := range 10 * textsBytes / 16 {
		value := strings.Repeat(string(rune('a'+n%26)), n%32)
		want, got = append(want, value), append(got, Text(filler(value)))
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if static.used == 0 || static.used > textsBytes {
		t.Errorf("%d bytes of the static memory are in use", static.used)
	}
}

func TestTextOfGrowingValue(t *testing.T) {
	size := uint32(len(scratch))
	got := Text(func(buf []byte) uint32 {
		size *= 2
		return size
	})
	if got != "" {
		t.Errorf("got %d bytes that the host did not write", len(got))
	}
}

func TestList(t *testing.T) {
	for _, want := range [][]string{nil, {""}, {"a"}, {"", ""}, {"a", "", "b"}, {strings.Repeat("long", 5000), "b"}} {
		packed := strings.Join(want, "\x00") + "\x00"
		got := List(func(buf []byte) uint64 {
			return uint64(len(want))<<32 | uint64(filler(packed)(buf))
		})
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// flat returns the names and values of fields.
func flat(fields [][2]string) (all []string) {
	for _, f := range fields {
		all = append(all, f[:]...)
	}
	return all
}

func TestFields(t *testing.T) {
	long := strings.Repeat("long", 5000)
	for list, want := range map[string][]string{
		"":                               nil,
		"a\x00b\x00":                     {"a", "b"},
		"a\x00\x00a\x00c\x00":            {"a", "", "a", "c"},
		"a\x00" + long + "\x00b\x00\x00": {"a", long, "b", ""},
		"a\x00b":                         nil,
		"a\x00b\x00c\x00":                {"a", "b"},
		"a":                              nil,
	} {
		got := flat(Fields(func(buf []byte) uint64 { return 10<<32 | uint64(filler(list)(buf)) }))
		if !slices.Equal(got, want) {
			t.Errorf("%.20q: got %.60q, want %.60q", list, got, want)
		}
	}
}

// TestListsStay reads more lists than the static memory holds. Each stays as it is, and a longer one does not change the next.
func TestListsStay(t *testing.T) {
	var want, got [][]string
	for n := range stringsCount {
		list := slices.Repeat([]string{string(rune('a' + n%26))}, n%8)
		want = append(want, append(list, "end"))
		got = append(got, SplitList([]byte(strings.Join(list, "\x00")+"\x00"), len(list)))
	}
	for n := range got {
		if got[n] = append(got[n], "end"); !slices.Equal(got[n], want[n]) {
			t.Errorf("got %q, want %q", got[n], want[n])
		}
	}
	if taken.count == 0 || taken.count > stringsCount {
		t.Errorf("%d strings of the static memory are in use", taken.count)
	}
}

func FuzzSplitFields(f *testing.F) {
	f.Add([]byte("a\x00b\x00"), 2)
	f.Add([]byte("\x00"), 1<<30)
	f.Fuzz(func(t *testing.T, b []byte, count int) {
		if count < 0 {
			return
		}
		list := SplitList(b, count)
		if got := flat(SplitFields(b, count)); !slices.Equal(got, list[:len(list)&^1]) {
			t.Fatalf("%q has the fields %q", b, got)
		}
	})
}

func FuzzSplitList(f *testing.F) {
	f.Add([]byte("a\x00b\x00"), 2)
	f.Add([]byte("a\x00b"), 2)
	f.Add([]byte(""), 1)
	f.Add([]byte("\x00"), 1<<30)
	f.Fuzz(func(t *testing.T, b []byte, count int) {
		if count < 0 {
			return
		}
		values := SplitList(b, count)
		if len(values) > count || len(values) > strings.Count(string(b), "\x00") {
			t.Fatalf("%d values of %d in %q", len(values), count, b)
		}
		if joined := strings.Join(values, "\x00"); !strings.HasPrefix(string(b), joined) {
			t.Fatalf("%q is not in %q", values, b)
		}
	})
}

func TestOutsideOfARequest(t *testing.T) {
	if EnableFeatures(FeatureTrailers) != FeatureTrailers || Config(nil) != 0 || !LogEnabled(0) {
		t.Error("a starting program is to find a host with trailers and without configuration")
	}
	defer func() {
		if message, _ := recover().(string); !strings.Contains(message, "guesttest") {
			t.Errorf("panic %q does not name the way out", message)
		}
	}()
	Method(nil)
}
