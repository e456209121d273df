/** Something of this machine that set-up needs and must not install by itself. The message says what to type. */
export class MissingOnThisMachine extends Error {
  constructor(what: string, command: string) {
    super(`${what}\n  Install it with:  ${command}\n  and start again.`)
    this.name = 'MissingOnThisMachine'
  }
}

/** The command for this system's package manager. */
export function installCommand(debian: string, mac: string, platform: NodeJS.Platform = process.platform): string {
  if (platform === 'darwin') return mac
  if (platform === 'win32') return 'wsl --install   (the local platform runs in WSL 2)'
  return `sudo apt-get install -y ${debian}   (or your distribution's packages of that name)`
}
