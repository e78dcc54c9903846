package frames

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// frame returns a frame with a payload of zeros.
func frame(kind, flags byte, payload int) []byte {
	f := make([]byte, headBytes+payload)
	f[0], f[1], f[2], f[3], f[4], f[8] = byte(payload>>16), byte(payload>>8), byte(payload), kind, flags, 1
	return f
}

func TestFollow(t *testing.T) {
	const settings = 4
	for name, c := range map[string]struct {
		frames [][]byte
		ends   int
		awaits bool
	}{
		"nothing":                    {},
		"a header":                   {[][]byte{frame(typeHeaders, flagEndHeaders, 20)}, 0, true},
		"a response without a body":  {[][]byte{frame(typeHeaders, flagEndHeaders|flagEndStream, 20)}, 1, false},
		"an incomplete header":       {[][]byte{frame(typeHeaders, 0, 20)}, 0, false},
		"a header of two frames":     {[][]byte{frame(typeHeaders, 0, 20), frame(typeContinuation, flagEndHeaders, 0)}, 0, true},
		"two frames without a body":  {[][]byte{frame(typeHeaders, flagEndStream, 20), frame(typeContinuation, flagEndHeaders, 9)}, 1, false},
		"a response":                 {[][]byte{frame(typeHeaders, flagEndHeaders, 20), frame(typeData, flagEndStream, 70_000)}, 1, false},
		"a part of a body":           {[][]byte{frame(typeHeaders, flagEndHeaders, 20), frame(typeData, 0, 5)}, 0, false},
		"a response, then a header":  {[][]byte{frame(typeData, flagEndStream, 0), frame(typeHeaders, flagEndHeaders, 1)}, 1, true},
		"a header, then settings":    {[][]byte{frame(typeHeaders, flagEndHeaders, 1), frame(settings, flagEndStream, 0)}, 0, false},
		"flags of another frame":     {[][]byte{frame(settings, flagEndHeaders|flagEndStream, 6)}, 0, false},
		"three streams, two of them": {[][]byte{frame(typeData, 1, 1), frame(typeHeaders, 4, 1), frame(typeHeaders, 5, 1)}, 2, false},
	} {
		t.Run(name, func(t *testing.T) {
			var all []byte
			for _, f := range c.frames {
				all = append(all, f...)
			}
			for _, part := range []int{1, 2, 7, 9, 10, len(all) + 1} {
				var f follower
				ends := 0
				for rest := all; len(rest) > 0; rest = rest[min(part, len(rest)):] {
					ends += f.follow(rest[:min(part, len(rest))])
				}
				require.Equal(t, c.ends, ends)
				require.Equal(t, c.awaits, f.awaitsBody())
			}
		})
	}
}

func TestAHeaderIsCompleteAtItsLastByte(t *testing.T) {
	whole := append(frame(typeHeaders, flagEndHeaders, 3), 0)
	var f follower
	for i, b := range whole {
		f.follow([]byte{b})
		require.Equal(t, i == headBytes+3-1, f.awaitsBody(), "after byte %d", i)
	}
}
