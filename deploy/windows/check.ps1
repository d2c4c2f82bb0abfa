# What this Windows says of the Keystead Agent: paste all of it into a report. Run it in PowerShell as administrator.
#   check.ps1 -Installer Keystead-Agent-0.1.0-x64.msi   installs first
#   check.ps1 -Remove                                   and removes afterwards, to see that nothing is left
# It shows no secret: names of keys and certificates, no key. It fails (exit code 1) if something is not as it should be.
param(
    [string] $Installer = "",
    [string] $Server = "",
    [switch] $Remove
)
$ErrorActionPreference = "Continue"
$failed = @()
$program = Join-Path $env:ProgramFiles "Keystead Agent"
$agent = Join-Path $program "keystead-agent.exe"
$uninstall = "HKLM:\Software\Microsoft\Windows\CurrentVersion\Uninstall\*"
$scheme = "HKLM:\Software\Classes\keystead\shell\open\command"

function Section([string] $title, [scriptblock] $look) {
    Write-Output "", "== $title"
    try { & $look 2>&1 | Out-String -Width 200 | Write-Output } catch { Write-Output "could not: $_" }
}
function Check([string] $what, [bool] $holds) {
    Write-Output ("{0}  {1}" -f $(if ($holds) { "ok    " } else { "FAILED" }), $what)
    if (-not $holds) { $script:failed += $what }
}
function Install([string[]] $arguments) {
    $log = Join-Path $env:TEMP "keystead-msi.log"
    $done = Start-Process msiexec.exe -ArgumentList ($arguments + @("/qn", "/l*v", "`"$log`"")) -Wait -PassThru
    Check "msiexec $($arguments[0]) ends with 0 (log: $log)" ($done.ExitCode -eq 0)
}

Section "Windows" { Get-ComputerInfo -Property WindowsProductName, WindowsVersion, OsBuildNumber, OsArchitecture }
Section "TPM" { Get-Tpm; Get-CimInstance -Namespace root/cimv2/Security/MicrosoftTpm -ClassName Win32_Tpm }
Section "certutil -csptest" { certutil -csptest "Microsoft Platform Crypto Provider" }

if ($Installer) {
    $arguments = @("/i", "`"$((Resolve-Path $Installer).Path)`"")
    if ($Server) { $arguments += "SERVER=$Server" }
    Install $arguments
}
if (Test-Path $agent) {
    $entry = Get-ItemProperty $uninstall -ErrorAction SilentlyContinue | Where-Object DisplayName -eq "Keystead Agent"
    Check "Apps & features has the entry, with version and icon" ([bool]($entry.DisplayVersion -and $entry.DisplayIcon))
    Check "the link's command is quoted" ((Get-ItemProperty $scheme)."(default)" -eq "`"$program\keystead-agentw.exe`" open `"%1`"")
    $service = Get-CimInstance Win32_Service -Filter "Name='KeysteadAgent'"
    Check "the service runs as LocalSystem, automatically" ($service.State -eq "Running" -and $service.StartName -eq "LocalSystem" -and $service.StartMode -eq "Auto")
    Section "restarts after a crash" { sc.exe qfailure KeysteadAgent }
    Section "signature" { Get-AuthenticodeSignature $agent | Format-List Status, StatusMessage, SignerCertificate }
    Section "folders" { icacls "$env:ProgramData\Keystead" /T }
    $state = Get-Acl "$env:ProgramData\Keystead\state"
    $others = $state.Access | Where-Object { $_.IdentityReference.Translate([Security.Principal.SecurityIdentifier]).Value -notin "S-1-5-18", "S-1-5-32-544" }
    Check "only SYSTEM and administrators reach the computer's state" (-not $others)
    $times = 1..5 | ForEach-Object { (Measure-Command { & $agent --version }).TotalSeconds }
    # the service has a second process, and a third, only while there is something to do
    $ends = (Get-Date).AddSeconds(120)
    while (@(Get-Process keystead-agent -ErrorAction SilentlyContinue).Count -gt 1 -and (Get-Date) -lt $ends) { Start-Sleep 1 }
    $waiting = Get-Process keystead-agent -ErrorAction SilentlyContinue
    $memory = ($waiting | Measure-Object PrivateMemorySize64 -Sum).Sum / 1MB
    $resident = ($waiting | Measure-Object WorkingSet64 -Sum).Sum / 1MB
    Section "figures" { "start {0:N2} s at best of 5; idle service {1:N0} MiB of its own, {2:N0} MiB resident" -f ($times | Measure-Object -Minimum).Minimum, $memory, $resident }
    Check "the idle service is one process with less than 60 MiB" (@($waiting).Count -eq 1 -and $resident -lt 60)
    Section "doctor" { if ($Server) { & $agent doctor --server $Server } else { & $agent doctor } }
    & $agent setup identity --computer 2>&1 | Out-String -Width 200 | Write-Output
    Check "the TPM vouches for keys of the computer" ($LASTEXITCODE -eq 0)
    Section "certificates of the endorsement key, by Windows" { Get-TpmEndorsementKeyInfo -HashAlgorithm Sha256 | Format-List }
    Section "and in the registry" { Get-ChildItem "HKLM:\SYSTEM\CurrentControlSet\Services\TPM\WMI\Endorsement" -Recurse | Select-Object -ExpandProperty Name }
    Section "list" { & $agent list }
    Section "certutil -user -store My" { certutil -user -store My }
    Section "certutil -store My" { certutil -store My }
    Section "keys of the platform provider" { certutil -user -csp "Microsoft Platform Crypto Provider" -key; certutil -csp "Microsoft Platform Crypto Provider" -key }
    Section "event log" { Get-WinEvent -LogName Application -MaxEvents 400 | Where-Object ProviderName -like "Keystead*" | Select-Object -First 20 TimeCreated, LevelDisplayName, Message }
} else {
    Check "the agent is installed in $program" $false
}
if ($Remove) {
    $entry = Get-ItemProperty $uninstall -ErrorAction SilentlyContinue | Where-Object DisplayName -eq "Keystead Agent"
    Install @("/x", $entry.PSChildName, "REMOVEKEYS=1")
    Check "no file is left" (-not (Test-Path $program) -and -not (Test-Path "$env:ProgramData\Keystead"))
    Check "no scheme is left" (-not (Test-Path $scheme))
    Check "no service is left" (-not (Get-Service KeysteadAgent -ErrorAction SilentlyContinue))
}
Write-Output "", $(if ($failed) { "FAILED: $($failed -join '; ')" } else { "all checks passed" })
exit [int][bool]$failed
