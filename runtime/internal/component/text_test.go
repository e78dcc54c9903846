package component

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNamesOfBuiltins: a built-in has its own name, with the structure of the type that it is for.
func TestNamesOfBuiltins(t *testing.T) {
	guest, err := Decode(read(t, "accepted/async"))
	require.NoError(t, err)
	const record = "record<a:result<tuple<u8,option<variant<a(list<string>),b>>,enum<x,y>,flags<x,y>>,string>,b:char>"
	require.Equal(t, `vespo:canon task.cancel () -> ()
vespo:canon subtask.drop (i32) -> ()
vespo:canon subtask.cancel (i32) -> (i32)
vespo:canon subtask.cancel (i32) -> (i32)
vespo:canon backpressure.inc () -> ()
vespo:canon backpressure.dec () -> ()
vespo:canon context.get-0 () -> (i32)
vespo:canon context.set-0 (i32) -> ()
vespo:canon stream.new<u8> () -> (i64)
vespo:canon [async]stream.read<u8> (i32, i32, i32) -> (i32)
vespo:canon [async]stream.write<u8> (i32, i32, i32) -> (i32)
vespo:canon stream.cancel-read<u8> (i32) -> (i32)
vespo:canon stream.cancel-write<u8> (i32) -> (i32)
vespo:canon stream.drop-readable (i32) -> ()
vespo:canon stream.drop-writable (i32) -> ()
vespo:canon future.new<R> () -> (i64)
vespo:canon [async]future.read<R> (i32, i32) -> (i32)
vespo:canon [async]future.write<R> (i32, i32) -> (i32)
vespo:canon future.cancel-read<R> (i32) -> (i32)
vespo:canon future.cancel-write<R> (i32) -> (i32)
vespo:canon future.drop-readable<R> (i32) -> ()
vespo:canon future.drop-writable<R> (i32) -> ()
vespo:canon error-context.new (i32, i32) -> (i32)
vespo:canon error-context.debug-message (i32, i32) -> ()
vespo:canon error-context.drop (i32) -> ()
vespo:canon waitable-set.new () -> (i32)
vespo:canon waitable-set.wait (i32, i32) -> (i32)
vespo:canon waitable-set.poll (i32, i32) -> (i32)
vespo:canon waitable-set.drop (i32) -> ()
vespo:canon waitable.join (i32, i32) -> ()
vespo:canon thread.yield () -> (i32)
vespo:canon task.return () -> ()
vespo:canon future.read<R> (i32, i32) -> (i32)
vespo:canon backpressure.inc () -> ()
> cabi_realloc (i32, i32, i32, i32) -> (i32)
> [async-lift]wasi:http/handler@0.3#handle () -> (i32)
> [callback][async-lift]wasi:http/handler@0.3#handle (i32, i32, i32) -> (i32)
> memory
`, strings.ReplaceAll(border(t, guest), record, "R"))
}

// TestTypesOfHTTP reads a guest for wasi:http/handler@0.3, whose error-code has a short name.
func TestTypesOfHTTP(t *testing.T) {
	bin, err := os.ReadFile("../../abi/wasihttp3/testdata/guest.wasm")
	require.NoError(t, err)
	guest, err := Decode(bin)
	require.NoError(t, err)
	for _, want := range []string{
		"vespo:canon task.return<result<own<wasi:http/types@0.3#response>,http-error-code>> (i32, i32, i32, i64, i32, i32, i32, i32) -> ()\n",
		"vespo:canon [async]future.read<result<option<own<wasi:http/types@0.3#fields>>,http-error-code>> (i32, i32) -> (i32)\n",
		"vespo:canon future.new<result<_,http-error-code>> () -> (i64)\n",
	} {
		require.Contains(t, border(t, guest), want)
	}
}

// TestTypeTextIsBounded: types that share parts have texts that double with each level.
func TestTypeTextIsBounded(t *testing.T) {
	typ := &Type{Form: FormString}
	for range 64 {
		typ = &Type{Form: FormTuple, Fields: []Field{{Type: typ}, {Type: typ}}}
	}
	text := typ.text()
	require.Len(t, text, maxTypeText+3)
	require.True(t, strings.HasPrefix(text, "tuple<tuple<tuple<"))
}
