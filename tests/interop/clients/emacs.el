;; Emacs' xml-rpc.  -*- coding: utf-8; lexical-binding: t -*-
(package-initialize)
(require 'xml-rpc)

(defvar ports command-line-args-left)
(setq command-line-args-left nil) ; Otherwise Emacs takes them for files.
(defvar name "naïve 名.txt")

(defun call (port method &rest params)
  (apply #'xml-rpc-method-call (format "http://localhost:%s/RPC2" port) (concat "surfstore." method) params))

(defun expect (is should)
  (unless (equal is should) (error "%S is not %S" is should)))

(defvar leader nil)
(while (not leader)
  (setq leader (seq-find (lambda (port) (call port "isLeader")) ports)))

(expect (call leader "updatefile" name 1 '("h1" "h2")) t)
(expect (call leader "updatefile" name 1 '("h1" "h2")) nil)
(expect (call leader "updatefile" "ints" 1 '(1 2)) t)
(let ((files (call leader "getfileinfomap")))
  (expect (length files) 2)
  (expect (cdr (assoc name files)) '(1 ("h1" "h2")))
  (expect (cdr (assoc "ints" files)) '(1 (1 2))))
(expect (call leader "tester_getversion" name) 1)

;; The library reads an empty or blank string as nil, which is also false and the empty list.
(expect (call leader "updatefile" "blanks" 1 '("" " " "h")) t)
(expect (cdr (assoc "blanks" (call leader "getfileinfomap"))) '(1 (nil nil "h")))

;; The code and the text of a fault are in variables.
(defun expect-fault (port code text)
  (setq xml-rpc-fault-code nil)
  ;; An empty list is sent as a vector, because nil is sent as false.
  (ignore-errors (call port "updatefile" name 2 []))
  (expect xml-rpc-fault-code code)
  (expect (string-prefix-p text xml-rpc-fault-string) t))

(expect-fault (seq-find (lambda (port) (not (equal port leader))) ports) 2 "not the leader")
(expect (call leader "crash") t)
(expect-fault leader 1 "isCrashed")
(dolist (port ports) (expect (call port "ping") t))
(expect (call leader "restore") t)
(expect (call leader "isCrashed") nil)
(princ (format "xml-rpc %s of Emacs %s" xml-rpc-version emacs-version))
