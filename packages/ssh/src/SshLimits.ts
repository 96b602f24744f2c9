/**
 * Every bound of the server by name, in the terms of sshd_config(5) where OpenSSH has the same one. The defaults are
 * OpenSSH's where it has one, else the smallest that a normal client never notices.
 */
import { Duration } from "effect"

export interface SshLimits {
  /** From the TCP accept to a successful login; silent peers included (LoginGraceTime). Default 120 s. */
  readonly loginGraceTime: Duration.Input
  /** Failed tries to log in on one connection; the first "none" is free (MaxAuthTries). Default 6. */
  readonly maxAuthTries: number
  /** Session channels that are open at once on one connection (MaxSessions). Default 10. */
  readonly maxSessions: number
  /** After so long without a byte from the client it is asked for a sign of life (ClientAliveInterval). Default 15 s. */
  readonly clientAliveInterval: Duration.Input
  /** A client silent for this many intervals is dead (ClientAliveCountMax). Default 3. */
  readonly clientAliveCountMax: number
  /** Connections at once, those included whose handler is still cleaning up. Further ones are closed. Default 1000. */
  readonly maxConnections: number
  /** Connections at once that have not logged in yet (MaxStartups). Further ones are closed. Default 100. */
  readonly maxStartups: number
  /** New keys after so many bytes in both directions together (RekeyLimit; RFC 4253 §9). Default 1 GiB. */
  readonly rekeyBytes: number
  /** New keys after so long (RekeyLimit; RFC 4253 §9). Default 1 hour. */
  readonly rekeyInterval: Duration.Input
  /** A key exchange that was begun has to be finished within it; the connection is cut otherwise. Default 60 s. */
  readonly rekeyGrace: Duration.Input
  /** How long the other side may take to answer a close, of a channel or the connection, before we go on. Default 3 s. */
  readonly closeGrace: Duration.Input
  /**
   * The receive window of a channel: what a client may send before the program reads it. Bounds what is held for a
   * program that does not read. Default 2 MiB, as OpenSSH's.
   */
  readonly windowBytes: number
  /**
   * What one connection may have waiting for TCP: channels stop sending at it, at twice it nothing more is read from
   * the client until it drained. Bounds what is held for a client that does not read. Default 512 KiB.
   */
  readonly sendBufferBytes: number
  /**
   * Channel requests of one connection that wait for their answer. Beyond it nothing more is read from the client
   * until the handler caught up. Default 256.
   */
  readonly maxPendingRequests: number
}

export const defaults: SshLimits = {
  loginGraceTime: Duration.seconds(120),
  maxAuthTries: 6,
  maxSessions: 10,
  clientAliveInterval: Duration.seconds(15),
  clientAliveCountMax: 3,
  maxConnections: 1000,
  maxStartups: 100,
  rekeyBytes: 1024 * 1024 * 1024,
  rekeyInterval: Duration.hours(1),
  rekeyGrace: Duration.seconds(60),
  closeGrace: Duration.seconds(3),
  windowBytes: 2 * 1024 * 1024,
  sendBufferBytes: 512 * 1024,
  maxPendingRequests: 256
}
