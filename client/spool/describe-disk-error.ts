/** Describes a file system error in words that a user can act on. */
export function describeDiskError(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return problems[code ?? ""] ?? message;
}

const problems: Readonly<Record<string, string>> = {
  EACCES: "this user may not write there",
  EPERM: "this user may not write there",
  EROFS: "its file system is read-only",
  EEXIST: "it is a file, not a folder",
  ENOTDIR: "a part of its path is a file, not a folder",
  ENOSPC: "its file system is full",
  EDQUOT: "this user's share of its file system is full",
  EFBIG: "this user may not write files that large",
  ENAMETOOLONG: "its path is too long",
};
