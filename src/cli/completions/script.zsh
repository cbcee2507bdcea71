# The candidates of the function before this would have a quoted tilde, so zsh completes such paths itself.
_surfstore_or_home() {
    if [[ ${words[CURRENT]} == \~* ]]; then
        _files
    else
        _clap_dynamic_completer_surfstore "$@"
    fi
}
compdef _surfstore_or_home surfstore

# A file in `fpath` is the body of a function, so that the first Tab only runs this script. This completes then, too.
if [[ ${funcstack[1]} == _surfstore ]]; then
    _surfstore_or_home "$@"
fi
