# Passes the line up to the cursor. The shell keeps the spaces at the end to itself.
Register-ArgumentCompleter -Native -CommandName surfstore -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $extent = $commandAst.Extent
    $begin = $commandAst.CommandElements[0].Extent.StartOffset
    $length = $cursorPosition - $begin
    $line = $extent.Text.Substring($begin - $extent.StartOffset).PadRight($length).Substring(0, $length)
    $before = $env:SURFSTORE_COMPLETE
    try {
        $env:SURFSTORE_COMPLETE = 'powershell'
        $candidates = @(& surfstore -- $line)
    } finally {
        $env:SURFSTORE_COMPLETE = $before
    }
    foreach ($candidate in $candidates) {
        $value, $help = $candidate -split "`t", 2
        if (-not $help) { $help = $value }
        [System.Management.Automation.CompletionResult]::new($value, $value, 'ParameterValue', $help)
    }
}
