"""The only door to the kernel: one function, one call, typed; no policy."""

from boxship.kernel._libc import KernelError as KernelError
