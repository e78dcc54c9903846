package static

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestQuality(t *testing.T) {
	for accepted, want := range map[string]int{
		"br": 1000, "br;q=0.123": 123, " br ; Q=0.5": 500, "br;q=1.1": 0, "br;q=-1": 0, "br;q=NaN": 0, "br;q": 0, "br;v=1": 0, "*;q=0.3": 300,
		"*;q=0.3,br;q=0.2": 200, "br;q=0.2,*": 200, "brr": 0, ",,;": 0, "gzip": 0, "": 0,
	} {
		got, _ := quality(accepted, "br")
		require.Equal(t, want, got, accepted)
	}
}
