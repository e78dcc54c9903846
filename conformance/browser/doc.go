// Package browser tests what a browser shows of "vespo dev". It drives a headless Chromium, and is skipped where
// none is installed. The screenshots are artifacts of the test:
//
//	cd conformance && GOWORK=off go test ./browser -artifacts -outputdir /tmp/pictures
package browser
