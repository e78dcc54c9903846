package version

import (
	"encoding/binary"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBuildIsTheIDOfTheLinker(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("programs are not ELF files")
	}
	program, err := os.Executable()
	require.NoError(t, err)
	want, err := exec.Command("go", "tool", "buildid", program).Output()
	require.NoError(t, err)
	require.Equal(t, strings.TrimSpace(string(want)), Build())
	require.NotEmpty(t, Build())
}

func TestDamagedNotesHaveNoID(t *testing.T) {
	note := []byte("\x04\x00\x00\x00\x03\x00\x00\x00\x04\x00\x00\x00Go\x00\x00id!\x00")
	require.Equal(t, "id!", idOf(note, binary.LittleEndian))
	for end := range len(note) - 1 {
		require.Empty(t, idOf(note[:end], binary.LittleEndian), end)
	}
	note[12] = 'X'
	require.Empty(t, idOf(note, binary.LittleEndian))
}
