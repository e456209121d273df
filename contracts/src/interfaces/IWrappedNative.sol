// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title Wrapper of the chain's native coin, WETH9-shaped.
interface IWrappedNative {
    event Deposit(address indexed to, uint256 amount);
    event Withdrawal(address indexed from, uint256 amount);

    error NativeTransferFailed(address to);

    /// @notice Wraps the native coin sent along, one to one, to the sender.
    function deposit() external payable;

    /// @notice Burns `amount` of the sender and sends it the native coin.
    function withdraw(uint256 amount) external;
}
