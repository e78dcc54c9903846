module github.com/vespo-dev/vespo/guest-sdk

go 1.24
