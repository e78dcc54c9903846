// Package worker makes the sources of which a JavaScript worker is bundled: the script of the project, the glue that
// calls its handlers and provides their environment, and its static assets. It also contains the program that makes a
// component of the bundle. Both are in the directory js.
package worker
