package flags

import (
	"fmt"
	"math"
	"strconv"

	"github.com/dustin/go-humanize"
)

// Size is a number of bytes, written like 16MiB, 10MB or 65536.
type Size int64

// UnmarshalText parses a size.
func (s *Size) UnmarshalText(text []byte) error {
	n, err := humanize.ParseBytes(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a size: write it like 16MiB, or as a number of bytes", text)
	}
	if n > math.MaxInt64 {
		return fmt.Errorf("%q is too large: give less than 8 EiB", text)
	}
	*s = Size(n)
	return nil
}

// String formats the size with the largest binary unit that
// leaves a whole number, so that it parses back to the same size.
func (s Size) String() string {
	units := [...]string{"", "KiB", "MiB", "GiB", "TiB"}
	n, unit := int64(s), 0
	for n != 0 && n%1024 == 0 && unit < len(units)-1 {
		n, unit = n/1024, unit+1
	}
	return strconv.FormatInt(n, 10) + units[unit]
}
