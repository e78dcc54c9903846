package project

import (
	_ "embed" // for sdkArchive

	"golang.org/x/tools/txtar"
)

// sdkDir is where a project has the SDK.
const sdkDir = "guest-sdk"

// sdkArchive has the files of the guest SDK that its users need.
//
//go:generate go test -run TestSDKIsCurrent -update
//go:embed sdk.txtar
var sdkArchive []byte

// sdk gives the SDK's files, by paths with slashes.
func sdk() map[string][]byte {
	files := map[string][]byte{}
	for _, f := range txtar.Parse(sdkArchive).Files {
		files[f.Name] = f.Data
	}
	return files
}
