/* Windows has bcryptprimitives.dll and Rust's standard library calls its ProcessPrng; Wine has none before version 9.
   This one stands in the Wine prefix only. */
#include <windows.h>
#include <ntsecapi.h>

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T length) {
  return RtlGenRandom(data, (ULONG)length);
}
