"""Tables of other papers, redone: accuracies that were published of the rules here, each beside the one that comes out."""
