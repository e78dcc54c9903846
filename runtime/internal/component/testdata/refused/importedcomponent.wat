;; Imports a component.
(component (import "c" (component)))
