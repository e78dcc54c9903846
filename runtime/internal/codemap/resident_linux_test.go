package codemap

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// kernelsResident returns the resident bytes of the mapping of a file as the kernel sums them up.
func kernelsResident(t *testing.T, name string) (residentBytes int64) {
	t.Helper()
	all, err := os.ReadFile("/proc/self/smaps")
	require.NoError(t, err)
	_, of, found := bytes.Cut(all, []byte(name))
	require.True(t, found)
	_, rss, found := bytes.Cut(of, []byte("Rss:"))
	require.True(t, found)
	_, err = fmt.Sscan(string(rss[:64]), &residentBytes)
	require.NoError(t, err)
	return residentBytes << 10
}

// Only pages that the process has touched count, with those that the kernel maps around them, but not the page cache.
func TestResident(t *testing.T) {
	const pages, touched = 3 * entriesRead / 2, 1000
	page := unix.Getpagesize()
	name := filepath.Join(t.TempDir(), "code")
	require.NoError(t, os.WriteFile(name, make([]byte, pages*page-1), 0o600))
	f, err := os.Open(name)
	require.NoError(t, err)
	defer f.Close()
	m, err := unix.Mmap(int(f.Fd()), 0, pages*page-1, unix.PROT_READ, unix.MAP_SHARED)
	require.NoError(t, err)
	defer func() { require.NoError(t, unix.Munmap(m)) }()
	resident := func() (all, part int64) {
		t.Helper()
		n, err := Resident([][]byte{m, m[:touched*page]})
		require.NoError(t, err)
		require.Equal(t, kernelsResident(t, name), n[0])
		return n[0], n[1]
	}
	all, part := resident()
	require.Zero(t, all)
	require.Zero(t, part)
	for i := range touched {
		require.Zero(t, m[i*page])
	}
	first, part := resident()
	require.EqualValues(t, touched*page, part)
	require.Zero(t, m[len(m)-1])
	all, part = resident()
	require.Greater(t, all, first, "the last page counts")
	require.EqualValues(t, touched*page, part)
	require.NoError(t, unix.Madvise(m, unix.MADV_DONTNEED))
	all, _ = resident()
	require.Zero(t, all)
}
