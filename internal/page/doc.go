// Package page writes small HTML pages of the server itself, such as errors for browsers, and decides which clients want
// a page and not JSON. A page needs no other resource: its one style is part of it, and its policy permits nothing else.
package page
