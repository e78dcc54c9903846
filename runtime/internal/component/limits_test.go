package component

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// section returns a section of a component.
func section(id byte, body ...byte) []byte {
	return append(appendU32([]byte{id}, uint32(len(body))), body...)
}

// vector returns n times the same entry, with the length.
func vector(n int, entry ...byte) []byte {
	return append(appendU32(nil, uint32(n)), bytes.Repeat(entry, n)...)
}

func binary(sections ...[]byte) []byte {
	return append(bytes.Clone(preamble), bytes.Join(sections, nil)...)
}

// nest returns components in one another, the innermost of which has the body.
func nest(n int, body []byte, around func(inner []byte) []byte) []byte {
	for range n {
		body = around(body)
	}
	return body
}

// Hostile components that repeat or nest definitions are refused after bounded work.
func TestLimits(t *testing.T) {
	// An instance type with 1000 types in it, and imports of it.
	large := append([]byte{0x42}, vector(1000, 0x01, 0x7f)...)
	importOfIt := []byte{0x00, 0x01, 'a', 0x05, 0x00}
	// An instance type with an instance type in it, and so on.
	deep := nest(maxDepth+1, []byte{0x7f}, func(inner []byte) []byte { return append([]byte{0x42, 0x01, 0x01}, inner...) })
	// A component that instantiates the one in it twice, and so on.
	double := nest(30, binary(), func(inner []byte) []byte {
		return binary(section(sectionComponent, inner...), section(sectionInstance, vector(2, 0x00, 0x00, 0x00)...))
	})
	double15 := nest(15, binary(section(sectionType, vector(100, 0x7f)...)), func(inner []byte) []byte {
		return binary(section(sectionComponent, inner...), section(sectionInstance, vector(2, 0x00, 0x00, 0x00)...))
	})
	module := append(bytes.Clone(corePreamble), 0x02, 0x00) // an empty import section is invalid
	small := bytes.Clone(corePreamble)
	for name, bin := range map[string][]byte{
		"types":                binary(section(sectionType, vector(maxDefinitions+1, 0x7f)...)),
		"one type many times":  binary(section(sectionType, append([]byte{1}, large...)...), section(sectionImport, vector(200, importOfIt...)...)),
		"deep types":           binary(section(sectionType, append([]byte{1}, deep...)...)),
		"deep components":      binary(section(sectionComponent, double...), section(sectionInstance, vector(1, 0x00, 0x00, 0x00)...)),
		"exponential":          binary(section(sectionComponent, double15...), section(sectionInstance, vector(1, 0x00, 0x00, 0x00)...)),
		"sections":             binary(bytes.Repeat(section(sectionType, 0x00), maxDefinitions+1)),
		"core modules":         binary(bytes.Repeat(section(sectionCoreModule, small...), maxCoreModules+1)),
		"core instances":       binary(section(sectionCoreInstance, vector(maxCoreInstances+1, 0x01, 0x00)...)),
		"names":                binary(section(sectionType, append([]byte{1, FormEnum, 1}, append(appendU32(nil, maxNameBytes+1), bytes.Repeat([]byte{'a'}, maxNameBytes+1)...)...)...)),
		"exports of a module":  binary(section(sectionCoreModule, append(bytes.Clone(corePreamble), section(coreSectionType, vector(maxDefinitions+1, 0x60, 0x00, 0x00)...)...)...)),
		"elements of a record": binary(section(sectionType, append([]byte{1, FormTuple}, vector(maxDefinitions+1, 0x7f)...)...)),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Decode(bin)
			require.ErrorIs(t, err, ErrLimit)
		})
	}
	_, err := Decode(binary(section(sectionCoreModule, module...)))
	require.ErrorIs(t, err, ErrTruncated)
}
