package project

import (
	_ "embed" // for sdkArchive

	"golang.org/x/tools/txtar"
)

// sdkDir is the directory of the SDK in a project.
const sdkDir = "guest-sdk"

// sdkArchive contains the files of the guest SDK that projects need.
//
//go:generate go test -run TestSDKIsCurrent -update
//go:embed sdk.txtar
var sdkArchive []byte

// sdk returns the SDK's files, by slash-separated paths.
func sdk() map[string][]byte {
	files := map[string][]byte{}
	for _, f := range txtar.Parse(sdkArchive).Files {
		files[f.Name] = f.Data
	}
	return files
}
