// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title Prepaid balances of API clients, pooled.
/// @notice An epoch moves one total out of the pool; what each client has spent is a leaf (kind 0x02) of the epoch's tree, so
/// the cost of an epoch does not grow with clients. A client leaves by request, delay and a proof of its spending. Nothing here
/// can be paused, and there is no admin.
interface IInferenceEscrow {
    event Deposited(address indexed client, address indexed from, uint256 amount, uint256 cumulative);
    event Funded(uint256 amount, uint256 held);
    event WithdrawalRequested(address indexed client, uint256 amount, uint256 readyAt, uint256 exitAt);
    event WithdrawalCancelled(address indexed client);
    event SpentProven(address indexed client, uint256 spent);
    event Withdrawn(address indexed client, address indexed to, uint256 amount);

    error ZeroAmount();
    error ZeroClient();
    error ZeroRecipient();
    error OnlySettlement();
    error NotNative();
    error OnlyToken();
    error NativeTransferFailed(address to);
    error EscrowShort(uint256 needed, uint256 held);
    error DelaysInvalid();
    error RequestTooLarge(uint256 amount, uint256 available);
    error NoRequest();
    error NotReady(uint256 readyAt);
    error NoEpochSinceRequest(uint256 exitAt);
    error InvalidProof();
    error SpendingKnown(uint256 spent);
    error NothingToWithdraw();

    /// @notice Credits `client` with what arrives of `amount` from the sender (less for tokens that take a fee).
    function deposit(address client, uint256 amount) external;

    /// @notice Permit and deposit in one. A permit that was already used (front-run) is no failure: the allowance decides.
    /// @dev Owner and credited client are the sender, so that nobody can move another's allowance.
    function depositWithPermit(uint256 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s) external;

    /// @notice Credits `client` with the native coin sent along. Only where the token wraps it.
    function depositNative(address client) external payable;

    /// @notice Moves one epoch's debits to Settlement. Only Settlement.
    function fund(uint256 amount) external;

    /// @notice Asks for `amount` back and starts the clock; a later request replaces it and starts anew. The API lowers the
    /// spendable balance as soon as it sees the event.
    function requestWithdrawal(uint256 amount) external;

    function cancelWithdrawal() external;

    /// @notice Puts on record what `client` had spent by the current root. Anyone; the settler calls it for clients who ask for
    /// money back.
    function proveSpent(address client, uint128 spent, uint256 index, bytes32[] calldata proof) external;

    /// @notice Pays the request of the sender, at most its deposits less withdrawals less proved spending.
    /// @dev Ready after `withdrawalDelay` if an epoch proposed since the request is active; otherwise after `exitDelay`, against
    /// the last root (a settler that stays silent cannot keep the money).
    /// @param unwrap pays the native coin instead of its wrapper
    function withdraw(address to, bool unwrap, uint128 spent, uint256 index, bytes32[] calldata proof) external;

    /// @notice Pays a sender who has no leaf because it never spent. After `exitDelay`, within which anyone can show by
    /// `proveSpent` that there is a leaf.
    function withdrawUnspent(address to, bool unwrap) external;

    /// @return pool what the escrow owes to clients and coming epochs, by its own accounts (donations do not count)
    function held() external view returns (uint256 pool);

    /// @return amount deposits less withdrawals less proved spending
    function availableOf(address client) external view returns (uint256 amount);
}
